package mirror

import (
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/secret"
)

// newModel reads the tags of a snapshot struct. Its errors say how to fix the struct.
func newModel(db *gorm.DB, sample any) (*model, error) {
	t := reflect.TypeOf(sample).Elem()
	fail := func(format string, args ...any) (*model, error) {
		return nil, fmt.Errorf("snapshot %s: "+format, append([]any{t}, args...)...)
	}
	parsed, err := schema.Parse(sample, &sync.Map{}, db.NamingStrategy)
	if err != nil {
		return fail("parse the struct with gorm: %w", err)
	}
	m := &model{schema: parsed, table: parsed.Table, byColumn: map[string]*field{}}
	if !tableName.MatchString(m.table) {
		return fail("%q is not a valid table name", m.table)
	}
	m.id = parsed.PrioritizedPrimaryField
	if m.id == nil || len(parsed.PrimaryFields) != 1 || m.id.DBName != "id" || (m.id.GORMDataType != schema.Uint && m.id.GORMDataType != schema.Int) {
		return fail("the struct needs one primary key, an integer in the column id, for example ID uint64")
	}
	status := map[string]bool{}
	for _, f := range parsed.Fields {
		softDelete := f.FieldType == reflect.TypeFor[gorm.DeletedAt]()
		if isStatusColumn(f.DBName) && status[f.DBName] && !softDelete {
			return fail("two fields have the column %s, which belongs to nawasync.SyncStatus; give the other field another column", f.DBName)
		}
		if f == m.id || isStatusColumn(f.DBName) && !softDelete {
			status[f.DBName] = true
			continue
		}
		if err := m.add(f); err != nil {
			return fail("field %s: %w", f.Name, err)
		}
	}
	for _, c := range statusColumns("") {
		if parsed.FieldsByDBName[c.name] == nil {
			return fail("column %s is missing: embed nawasync.SyncStatus without a prefix", c.name)
		}
	}
	if len(m.key) == 0 {
		return fail(`the key is missing: tag the remote's id with sync:"key"`)
	}
	if err := m.setLimits(); err != nil {
		return fail("%w", err)
	}
	for _, f := range m.byColumn {
		f.readExactly()
		if f.cleaned() {
			m.cleaned = append(m.cleaned, f)
		}
	}
	for _, f := range m.content {
		if kind := f.IndirectFieldType.Kind(); kind == reflect.Float32 || kind == reflect.Float64 {
			m.floats = append(m.floats, f)
		}
	}
	slices.SortFunc(m.content, func(a, b *field) int { return strings.Compare(a.column, b.column) })
	sum := fnv.New32a()
	columns := make([]string, len(m.content))
	for i, f := range m.content {
		columns[i] = f.column
		_, _ = fmt.Fprintf(sum, "%s:%s:%v;", f.column, f.StructField.Type, f.unordered)
	}
	m.allFetched = strings.Join(columns, ",")
	m.version = int64(sum.Sum32()&0x7fffffff)<<8 | hashAlgorithm
	return m, nil
}

// add classifies a field of the struct and adds it to the model.
func (m *model) add(f *schema.Field) error {
	tag, err := parseTag(f)
	if err != nil {
		return err
	}
	role := tag.role
	if role != roleSecret && secret.Contains(f.FieldType) {
		return errors.New(`tag a nawasync.Secret with sync:"secret" gorm:"-"`)
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
			return errors.New("a snapshot cannot use gorm's soft deletion: nawasync.SyncStatus has its own")
		case !stored:
			return nil
		}
		role = roleContent
	}
	if err := checkStorage(f, role, stored); err != nil {
		return err
	}
	column := f.DBName
	if role == roleSecret {
		column = schema.NamingStrategy{}.ColumnName("", f.Name)
	}
	if (tag.exact || tag.group != "") && role != roleContent && role != roleNatural {
		return fmt.Errorf("exact and group are for content fields; the field has the role %s", role)
	}
	if tag.limit && role != roleScope {
		return fmt.Errorf("limit is for scope fields; the field has the role %s", role)
	}
	if tag.global && role != roleKey {
		return fmt.Errorf("global is for key fields; the field has the role %s", role)
	}
	if err := m.addMask(tag, column, role); err != nil {
		return err
	}
	return m.addField(
		&field{
			Field:     f,
			column:    column,
			plain:     isPlainKind(f.FieldType),
			role:      role,
			unordered: tag.unordered,
			exact:     tag.exact,
			hidden:    tag.hidden,
			global:    tag.global,
			group:     tag.group,
			limit:     tag.limit,
		},
	)
}

// checkStorage checks that a field of the role is stored, or not stored, as the role requires.
func checkStorage(f *schema.Field, role string, stored bool) error {
	if role == roleSecret {
		if f.FieldType != reflect.TypeFor[nawasync.Secret]() || stored {
			return errors.New(`a secret field must have the type nawasync.Secret and the tag gorm:"-"`)
		}
		return nil
	}
	if role == roleIgnored {
		return nil
	}
	if !stored {
		return errors.New("the field must be stored: gorm must be able to create, update and read it")
	}
	if t := f.IndirectFieldType; t.Kind() == reflect.Struct && !canonicalStruct(t) {
		return fmt.Errorf("values of %s cannot be compared: the type has no exported field and no method Value or MarshalText", t)
	}
	return nil
}

// addField adds a checked field to the lists of its role.
func (m *model) addField(f *field) error {
	switch f.role {
	case roleScope:
		m.scope = append(m.scope, f)
	case roleKey:
		m.key = append(m.key, f)
	case roleNatural:
		m.natural, m.content = append(m.natural, f), append(m.content, f)
	case roleContent:
		m.content = append(m.content, f)
	case roleObserved:
		m.observed = append(m.observed, f)
	case roleIncarnation:
		f.role = roleObserved
		m.observed, m.incarnation = append(m.observed, f), append(m.incarnation, f)
	case roleSecret:
		m.secrets = append(m.secrets, f)
	case roleIgnored:
		return nil
	default:
		return fmt.Errorf(
			`unknown tag sync:%q; use scope, key, natural, observed, incarnation, secret, ignored or content, and for content also set, exact, hidden, shown or group=name, for key also global`,
			f.Tag.Get("sync"),
		)
	}
	m.byColumn[f.column] = f
	return nil
}
