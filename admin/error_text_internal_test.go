package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/secret"
)

// Every error of an action has a text that says what to do, not just that there was an internal error.
func TestEveryErrorOfAnActionHasAText(t *testing.T) {
	t.Parallel()
	withText := map[string]error{
		"ErrEnded": nawasync.ErrEnded, "ErrNoArguments": nawasync.ErrNoArguments, "ErrRowGone": nawasync.ErrRowGone, "ErrNotTracked": nawasync.ErrNotTracked,
		"ErrSuperseded": nawasync.ErrSuperseded, "ErrDecided": mirror.ErrDecided, "ErrNoConflict": mirror.ErrNoConflict, "ErrNoRepository": nawasync.ErrNoRepository,
		"ErrNoSealer": nawasync.ErrNoSealer, "ErrBacklogFull": nawasync.ErrBacklogFull, "ErrNotFound": nawasync.ErrNotFound,
		"ErrDatabaseBusy": nawasync.ErrDatabaseBusy,
		"ErrDeleting":     nawasync.ErrDeleting, "ErrExists": nawasync.ErrExists, "ErrNotEnded": nawasync.ErrNotEnded, "ErrStillOpen": nawasync.ErrStillOpen,
		"ErrUnchanged": nawasync.ErrUnchanged, "ErrBusy": nawasync.ErrBusy, "ErrKeyBusy": nawasync.ErrKeyBusy, "ErrUnseen": mirror.ErrUnseen,
		"ErrScopeGone": mirror.ErrScopeGone,
		"ErrUnseal":    secret.ErrUnseal, "ErrInvalid": nawasync.ErrInvalid,
	}
	elsewhere := map[string]string{
		"ErrCancelled": "ends an attempt", "ErrTimeout": "ends an attempt", "ErrStopping": "ends an attempt", "ErrLeaseLost": "ends an attempt",
		"ErrCursorExpired": "is of a remote", "ErrNoQueue": "is of Register", "ErrRegistered": "is of Register", "ErrStarted": "is of Register",
		"ErrSeen": "is of ParseSeen", "ErrStale": "is of ParseSeen",
	}
	p := &request{r: httptest.NewRequest(http.MethodPost, "/jobs/7/retry", nil), h: &handler{config: Config{Logger: slog.New(slog.DiscardHandler)}}}
	unknown := p.errorText(errors.New("something else"))
	for _, file := range []string{"nawasync", "mirror", "secret", "tracker"} {
		names, err := os.ReadFile("../api/" + file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^var (Err\w+)`).FindAllStringSubmatch(string(names), -1) {
			name := match[1]
			is, found := withText[name]
			switch {
			case found && p.errorText(fmt.Errorf("retry job 7: %w", is)) == unknown:
				t.Errorf("%s has no text", name)
			case !found && elsewhere[name] == "":
				t.Errorf("%s is new: give it a text in errorText, or say here why no action returns it", name)
			}
		}
	}
}
