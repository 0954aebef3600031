package mirror_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
)

// listed is a row with a column of each kind that queries tell apart.
type listed struct {
	ID     uint64
	Tenant string `sync:"scope"`
	Name   string `sync:"key"`
	Kind   string
	Label  *string // its collation is the database's default
	Size   *int64
	Ratio  float64
	Active bool
	Since  *time.Time
	Tags   []string        `gorm:"serializer:json"`
	Codes  []int64         `gorm:"serializer:json"`
	Doc    any             `gorm:"serializer:json"`
	Inner  string          `sync:"hidden"`
	Remark string          `sync:"ignored"` // NULL is read as ""
	Pass   nawasync.Secret `gorm:"-"               sync:"secret"`
	nawasync.SyncStatus
}

func (listed) TableName() string { return "listed" }

// listedTable is a repository of listed rows, and the rows as a plain list.
type listedTable struct {
	*mirrored[listed]

	plain []listed
	null  map[uint64]bool // the rows whose remark is NULL
}

// newListedTable creates an empty table and its repository.
func newListedTable(t *testing.T, db *testdb.Database) *listedTable {
	t.Helper()
	h := enginetest.New(t, db)
	enginetest.ParseTimes(t, h)
	text, loose, at, float, json := "TEXT", "TEXT", "DATETIME", "REAL", "BLOB"
	switch db.Dialect {
	case "mysql":
		text, loose, at, float, json = "VARCHAR(100) COLLATE utf8mb4_bin", "VARCHAR(500) COLLATE utf8mb4_general_ci", "DATETIME(6)", "DOUBLE", "JSON"
	case "postgres":
		text, at, float, json = `TEXT COLLATE "C"`, "TIMESTAMPTZ", "DOUBLE PRECISION", "JSONB"
	}
	columns := strings.NewReplacer("STR", text, "LOOSE", loose, "AT", at, "FLT", float, "DOC", json).Replace(
		"tenant STR NOT NULL, name STR NOT NULL, kind STR NOT NULL, label LOOSE, size BIGINT, ratio FLT NOT NULL, active BOOLEAN NOT NULL, since AT, tags LOOSE, codes LOOSE, doc DOC, `inner` STR, remark STR")
	if db.Dialect != "mysql" {
		columns = strings.ReplaceAll(columns, "`", `"`)
	}
	m := newMirroredOn[listed](h, "listed", columns, mirror.Config[listed]{Search: []string{"name", "label"}}, func(c *nawasync.Config) {
		c.Sealer = enginetest.Keyring(t, shopKey)
	})
	return &listedTable{mirrored: m, null: map[uint64]bool{}}
}

var listedTexts = []string{"a", "A", "ab", "aB", "a%b", "a_b", "ä", "b", "b\\u0041", `q"q`, "<b>", "", "\U0010FFFF", "a\U0010FFFFz"}

// fill adds random rows without a sync, as many syncs would have left them.
func (l *listedTable) fill(random *rand.Rand, n int) {
	l.t.Helper()
	for i := range n {
		row := listed{
			Tenant: "one",
			Name:   fmt.Sprintf("n%03d", random.IntN(1000)*n+i),
			Kind:   listedTexts[random.IntN(4)],
			Ratio:  float64(random.IntN(4)) / 4,
			Active: random.IntN(2) == 0,
		}
		if random.IntN(3) > 0 {
			row.Label = new(listedTexts[random.IntN(len(listedTexts))])
		}
		if random.IntN(3) > 0 {
			row.Size = new(int64(random.IntN(6) - 2))
		}
		if random.IntN(3) > 0 {
			at := time.Date(2026, 1, 1, 0, 0, random.IntN(3), random.IntN(3)*500_000_000, time.UTC)
			row.Since = &at
		}
		for range random.IntN(4) {
			row.Tags = append(row.Tags, listedTexts[random.IntN(len(listedTexts))])
			row.Codes = append(row.Codes, int64(1<<53+random.IntN(3)))
		}
		row.Doc = []any{
			nil, "a",
			[]any{"a", []any{"b"}, 1.5, true},
			[]any{[]any{"a"}, false, 2.0},
			map[string]any{"a": 1.0},
			[]any{map[string]any{"a": 1.0}},
		}[random.IntN(6)]
		row.Remark = listedTexts[random.IntN(3)]
		l.insert(&row, random.IntN(3) == 0)
	}
	l.plain = append([]listed(nil), l.rows()...)
	if len(l.plain) < n {
		l.t.Fatalf("the table has %d rows, want %d or more", len(l.plain), n)
	}
}

// insert adds a row. null makes its remark NULL.
func (l *listedTable) insert(row *listed, null bool) {
	l.t.Helper()
	copy(row.Identity[:], fmt.Sprintf("%-32s", row.Name))
	enginetest.NoError(l.t, l.db.Create(row).Error)
	if null {
		enginetest.NoError(l.t, l.db.Exec("UPDATE listed SET remark = NULL WHERE id = ?", row.ID).Error)
		l.null[row.ID] = true
	}
}

// compare orders two rows by one column; NULL comes last in both directions.
func (l *listedTable) compare(column string, descending bool, a, b listed) int {
	sign := 1
	if descending {
		sign = -1
	}
	switch column {
	case "id":
		return sign * cmp.Compare(a.ID, b.ID)
	case "name":
		return sign * cmp.Compare(a.Name, b.Name)
	case "kind":
		return sign * cmp.Compare(a.Kind, b.Kind)
	case "ratio":
		return sign * cmp.Compare(a.Ratio, b.Ratio)
	case "size":
		return compareNullable(sign, a.Size == nil, b.Size == nil, func() int { return cmp.Compare(*a.Size, *b.Size) })
	case "since":
		return compareNullable(sign, a.Since == nil, b.Since == nil, func() int { return a.Since.Compare(*b.Since) })
	case "remark":
		return compareNullable(sign, l.null[a.ID], l.null[b.ID], func() int { return cmp.Compare(a.Remark, b.Remark) })
	}
	panic(column)
}

func compareNullable(sign int, a, b bool, compare func() int) int {
	switch {
	case a && b:
		return 0
	case a:
		return 1
	case b:
		return -1
	}
	return sign * compare()
}

// sorted returns the plain rows that keep selects in the order of a sort.
func (l *listedTable) sorted(sort string, keep func(listed) bool) []listed {
	var list []listed
	for _, row := range l.plain {
		if keep(row) {
			list = append(list, row)
		}
	}
	columns := strings.Split(sort, ",")
	if last := columns[len(columns)-1]; strings.TrimPrefix(last, "-") != "id" {
		columns = append(columns, map[bool]string{true: "-id", false: "id"}[strings.HasPrefix(last, "-")])
	}
	slices.SortFunc(list, func(a, b listed) int {
		for _, column := range columns {
			name, descending := strings.CutPrefix(column, "-")
			if name == "" {
				continue
			}
			if order := l.compare(name, descending, a, b); order != 0 {
				return order
			}
		}
		return 0
	})
	return list
}

func listedIDs(list []listed) (ids []uint64) {
	for _, row := range list {
		ids = append(ids, row.ID)
	}
	return ids
}
