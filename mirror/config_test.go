package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
)

func TestKeyThatMySQLWouldNotTellApartIsRefused(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.MySQL(t))
	enginetest.NoError(t, h.DB.Exec("CREATE TABLE plain_gadgets (id BIGINT AUTO_INCREMENT PRIMARY KEY, instance VARCHAR(64) NOT NULL, name VARBINARY(255) NOT NULL, quota_mb INTEGER, plan TEXT, used BIGINT, UNIQUE (instance, name))").Error)
	statements, err := mirror.StatusColumns("mysql", "plain_gadgets")
	enginetest.NoError(t, err)
	for _, statement := range statements {
		enginetest.NoError(t, h.DB.Exec(statement).Error)
	}
	err = second(mirror.New(h.Engine(nil), mirror.Config[plainGadget]{Service: "a", Type: "b"}))
	if err == nil || !strings.Contains(err.Error(), "VARBINARY") || !strings.Contains(err.Error(), "plain_gadgets.instance") {
		t.Errorf("%v", err)
	}
}

func TestSecondRepositoryOfATypeAndTwoActionsOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	s := idleShop(t, enginetest.New(t, testdb.SQLite(t)))
	repo, err := mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget"}) // without a Remote: it registers no kind
	if !errors.Is(err, nawasync.ErrRegistered) || repo != nil {
		t.Errorf("a second one: %v, %v", repo, err)
	}
	repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "other", Actions: mirror.Actions{Create: "x", Delete: "x"}})
	if err == nil || !strings.Contains(err.Error(), `repository shop/other: two of its Actions are called "x"`) || repo != nil {
		t.Errorf("two actions of one name: %v, %v", repo, err)
	}
	if n := len(s.engine.Repositories()); n != 2 {
		t.Errorf("%d repositories", n)
	}
}
