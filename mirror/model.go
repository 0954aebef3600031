package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/secret"
)

// The roles of a snapshot's fields, from the struct tag sync.
const (
	roleContent  = "content"  // hashed, compared, writable
	roleScope    = "scope"    // part of the key: which instance
	roleKey      = "key"      // the remote's id
	roleNatural  = "natural"  // content, and the name that finds an object before it has an id
	roleObserved = "observed" // stored and refreshed, never a conflict
	roleSecret   = "secret"   // written to the remote, never stored
	roleIgnored  = "ignored"  // the host's own
)

// field is one field of a snapshot struct.
type field struct {
	*schema.Field
	column    string
	role      string
	unordered bool // a list whose order means nothing
}

// contentHash is the first half of a SHA-256 over the content fields, in the order
// of their columns' names.
func (m *model) contentHash(row reflect.Value) string {
	var buffer [1024]byte
	out := buffer[:0]
	for _, f := range m.content {
		out = append(append(out, f.column...), '=')
		out = f.canonical(out, row)
		out = append(out, '\n')
	}
	sum := sha256.Sum256(out)
	return hex.EncodeToString(sum[:16])
}

// model is what a snapshot struct says of itself.
type model struct {
	schema *schema.Schema
	table  string
	id     *schema.Field

	scope, key, natural, content, observed, secrets []*field
	// natural ones are in content too.
	created, updated []*schema.Field // gorm's own times
	byColumn         map[string]*field
	version          int64 // of the hash: another set of fields has another
}

func (m *model) add(f *schema.Field) error {
	tag := strings.Split(f.Tag.Get("sync"), ",")
	role, option := tag[0], ""
	if len(tag) > 1 {
		option = tag[1]
	}
	if role == "set" {
		role, option = "", "set"
	}
	if role != roleSecret && secret.Contains(f.FieldType) {
		return errors.New(`a nawasync.Secret is tagged sync:"secret" gorm:"-"`)
	}
	stored := f.DBName != "" && f.Creatable && f.Updatable && f.Readable
	if role == "" {
		switch {
		case f.AutoCreateTime > 0:
			m.created = append(m.created, f)
			return nil
		case f.AutoUpdateTime > 0:
			m.updated = append(m.updated, f)
			return nil
		case f.FieldType == reflect.TypeFor[gorm.DeletedAt]():
			return errors.New("rows of a snapshot are not soft-deleted: gorm would hide them from syncs")
		case !stored:
			return nil
		}
		role = roleContent
	}
	column := f.DBName
	if role == roleSecret {
		if f.FieldType != reflect.TypeFor[nawasync.Secret]() || stored {
			return errors.New(`a secret is of type nawasync.Secret and is not stored: tag it gorm:"-" too`)
		}
		column = schema.NamingStrategy{}.ColumnName("", f.Name)
	} else if !stored && role != roleIgnored {
		return errors.New("it is not stored: gorm must be able to create, update and read it")
	}
	if t := f.IndirectFieldType; role != roleSecret && role != roleIgnored && t.Kind() == reflect.Struct && !canonicalStruct(t) {
		return fmt.Errorf("a %s has nothing that can be compared: no exported field, and neither Value nor MarshalText", t)
	}
	x := &field{Field: f, column: column, role: role, unordered: option == "set"}
	switch role {
	case roleScope:
		m.scope = append(m.scope, x)
	case roleKey:
		m.key = append(m.key, x)
	case roleNatural:
		m.natural, m.content = append(m.natural, x), append(m.content, x)
	case roleContent:
		m.content = append(m.content, x)
	case roleObserved:
		m.observed = append(m.observed, x)
	case roleSecret:
		m.secrets = append(m.secrets, x)
	case roleIgnored:
		return nil
	default:
		return fmt.Errorf(`the tag sync:%q is none of scope, key, natural, observed, secret, ignored, content and set`, f.Tag.Get("sync"))
	}
	m.byColumn[column] = x
	return nil
}

// identity are scope and key.
func (m *model) identity() []*field { return append(slices.Clone(m.scope), m.key...) }

// mirrored are the fields that a listing fills: content and observed.
func (m *model) mirrored() []*field { return append(slices.Clone(m.content), m.observed...) }

func (m *model) idOf(row reflect.Value) int64 {
	v := m.id.ReflectValueOf(context.Background(), row)
	if v.CanUint() {
		return int64(v.Uint())
	}
	return v.Int()
}

// instance and target name a row in jobs.
func (m *model) instance(row reflect.Value) string { return joinKeyParts(row, m.scope) }

func (m *model) target(row reflect.Value) string {
	if id := joinKeyParts(row, m.key); strings.Trim(id, "/") != "" || len(m.natural) == 0 {
		return id
	}
	return joinKeyParts(row, m.natural)
}

// keyText is the key as it is compared: exactly, byte by byte.
func (m *model) keyText(row reflect.Value) string {
	if len(m.key) == 1 {
		return keyPart(m.key[0].value(row))
	}
	var parts []string
	for _, f := range m.key {
		parts = append(parts, keyPart(f.value(row)))
	}
	return strings.Join(parts, "\x00")
}

// normalise makes foreign values what every database can store and give back: valid
// UTF-8 without NUL, times in whole microseconds.
func (m *model) normalise(row reflect.Value) {
	for _, f := range m.byColumn {
		if f.role == roleSecret {
			continue
		}
		v := f.value(row)
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch {
		case v.Kind() == reflect.String && v.CanSet():
			v.SetString(sqlkit.CleanText(v.String(), math.MaxInt))
		case v.Type() == reflect.TypeFor[time.Time]() && v.CanSet():
			at := v.Interface().(time.Time)
			if !at.IsZero() {
				v.Set(reflect.ValueOf(at.UTC().Truncate(time.Microsecond)))
			}
		}
	}
}

// newModel reads a snapshot struct's tags. Its errors are for the module's author.
func newModel(db *gorm.DB, sample any) (*model, error) {
	t := reflect.TypeOf(sample).Elem()
	fail := func(format string, args ...any) (*model, error) {
		return nil, fmt.Errorf("snapshot %s: "+format, append([]any{t}, args...)...)
	}
	parsed, err := schema.Parse(sample, &sync.Map{}, db.NamingStrategy)
	if err != nil {
		return fail("gorm cannot read it: %w", err)
	}
	m := &model{schema: parsed, table: parsed.Table, byColumn: map[string]*field{}}
	if !tableName.MatchString(m.table) {
		return fail("%q is not the name of a table", m.table)
	}
	m.id = parsed.PrioritizedPrimaryField
	if m.id == nil || len(parsed.PrimaryFields) != 1 || m.id.DBName != "id" || (m.id.GORMDataType != schema.Uint && m.id.GORMDataType != schema.Int) {
		return fail("it needs one primary key, an integer in a column id: ID uint64")
	}
	for _, f := range parsed.Fields {
		if f == m.id || isStatusColumn(f.DBName) {
			continue
		}
		if err := m.add(f); err != nil {
			return fail("field %s: %w", f.Name, err)
		}
	}
	for _, c := range statusColumns() {
		if parsed.FieldsByDBName[c.name] == nil {
			return fail("it has no column %s: embed nawasync.SyncStatus without a prefix", c.name)
		}
	}
	if len(m.key) == 0 {
		return fail(`it names no key: tag the remote's id with sync:"key"`)
	}
	slices.SortFunc(m.content, func(a, b *field) int { return strings.Compare(a.column, b.column) })
	sum := fnv.New32a()
	for _, f := range m.content {
		_, _ = fmt.Fprintf(sum, "%s:%s:%v;", f.column, f.StructField.Type, f.unordered)
	}
	m.version = int64(sum.Sum32()&0x7fffffff)<<8 | hashAlgorithm
	return m, nil
}

func joinKeyParts(row reflect.Value, fields []*field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = keyPart(f.value(row))
	}
	return strings.Join(parts, "/")
}

// value is what the field holds in a row, without an allocation.
func (f *field) value(row reflect.Value) reflect.Value {
	return f.ReflectValueOf(context.Background(), row)
}

// param is the field as a statement's parameter.
func (f *field) param(row reflect.Value) any {
	v, _ := f.ValueOf(context.Background(), row)
	return v
}
