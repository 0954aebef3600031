package mirror_test

import (
	"database/sql/driver"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
)

type statedThing struct {
	ID        uint64
	Account   string `sync:"scope"`
	Group     string `sync:"scope"` // a keyword of SQL
	Remote    string `sync:"key"`
	Name      string `sync:"natural"`
	Content   string
	Short     string `gorm:"size:20"`
	Priority  *int
	Count     uint32
	Weight    float64
	On        bool
	At        time.Time
	Blob      []byte
	Tags      []string `gorm:"serializer:json"`
	UpdatedAt time.Time
	nawasync.SyncStatus
}

func TestTableStatementsCreateATableThatStoresTheStruct(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		statements, err := mirror.TableStatements[statedThing](db.Dialect)
		enginetest.NoError(t, err)
		for _, statement := range statements {
			enginetest.NoError(t, db.Exec(statement).Error)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		for i, row := range []statedThing{
			{Account: "a", Group: "g", Remote: "1", Name: "n", At: at},
			{
				Account: "a", Group: "g", Remote: "2", Name: "n", Content: strings.Repeat("x", 100_000), Short: strings.Repeat("y", 20),
				Priority: new(0), Count: 1 << 31, Weight: 1.5, On: true, At: at, Blob: []byte{0, 255}, Tags: []string{"a"}, UpdatedAt: at,
			},
		} {
			row.Identity[0] = byte(i + 1)
			enginetest.NoError(t, db.Create(&row).Error)
			var got statedThing
			enginetest.NoError(t, db.Omit("at", "updated_at").Where("at = ?", at).First(&got, row.ID).Error)
			if got.Blob == nil {
				got.Blob = row.Blob
			}
			if got.Content != row.Content || got.Count != row.Count || got.Weight != row.Weight || got.On != row.On ||
				!reflect.DeepEqual(got.Priority, row.Priority) || !reflect.DeepEqual(got.Blob, row.Blob) || len(got.Tags) != len(row.Tags) || got.Group != "g" {
				t.Errorf("row %d: %+v, want %+v", i, got, row)
			}
		}
	})
}

// A creation stores NULL until the remote has assigned the key.
func TestTableStatementsLetTheKeyBeNullIfThereIsANaturalName(t *testing.T) {
	t.Parallel()
	type unnamed struct {
		ID     uint64
		Remote string `sync:"key"`
		nawasync.SyncStatus
	}
	for _, dialect := range []string{"sqlite", "postgres", "mysql"} {
		named, err := mirror.TableStatements[statedThing](dialect)
		enginetest.NoError(t, err)
		keyed, err := mirror.TableStatements[unnamed](dialect)
		enginetest.NoError(t, err)
		for text, want := range map[string]bool{named[0]: false, keyed[0]: true} {
			_, column, _ := strings.Cut(text, "remote")
			column, _, _ = strings.Cut(strings.TrimRight(column, ")"), ",")
			if strings.Contains(column, "NOT NULL") != want {
				t.Errorf("%s: the key's column is %s, NOT NULL %t", dialect, column, want)
			}
		}
	}
}

func TestTableStatementsNameTheFieldOfAnUnknownType(t *testing.T) {
	t.Parallel()
	type odd struct {
		ID    uint64
		Name  string      `sync:"key"`
		Point complexWord `sync:"observed"`
		nawasync.SyncStatus
	}
	if _, err := mirror.TableStatements[odd]("sqlite"); err == nil || !strings.Contains(err.Error(), "Point") {
		t.Errorf("error %v, want one that names the field", err)
	}
	if _, err := mirror.TableStatements[statedThing]("oracle"); err == nil || !strings.Contains(err.Error(), "unknown dialect") {
		t.Errorf("error %v, want one about the dialect", err)
	}
}

// complexWord has a value of its own, whose type gorm does not know.
type complexWord complex128

func (complexWord) Value() (driver.Value, error) { return nil, nil } //nolint:nilnil // NULL

func (*complexWord) Scan(any) error { return nil }
