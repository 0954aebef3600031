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

func TestDuplicateRepositoriesAndActionNamesAreRefused(t *testing.T) {
	t.Parallel()
	s := newIdleShop(t, enginetest.New(t, testdb.SQLite(t)))
	repo, err := mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "gadget"}) // without a Remote, New registers no job kinds
	if !errors.Is(err, nawasync.ErrRegistered) || repo != nil {
		t.Errorf("second repository of a type = %v, %v, want nil and ErrRegistered", repo, err)
	}
	repo, err = mirror.New(s.engine, mirror.Config[gadget]{Service: "shop", Type: "other", Actions: mirror.Actions{Create: "x", Delete: "x"}})
	if err == nil || !strings.Contains(err.Error(), `repository shop/other: two actions are named "x"`) || repo != nil {
		t.Errorf("repository with two actions called x = %v, %v, want nil and an error that names x", repo, err)
	}
	if n := len(s.engine.Repositories()); n != 2 {
		t.Errorf("the engine has %d repositories, want 2", n)
	}
}
