package jobstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestOneOfManyClaimsOfAFormSucceeds(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var claimed atomic.Int64
		done := make(chan error, 8)
		for i := range 8 {
			go func() {
				earlier, err := b.ClaimForm(t.Context(), "token", fmt.Sprint(i))
				if err == nil && earlier == nil {
					claimed.Add(1)
				}
				done <- err
			}()
		}
		for range 8 {
			b.NoError(<-done)
		}
		if n := claimed.Load(); n != 1 {
			t.Errorf("%d claims succeeded, want 1", n)
		}
		b.NoError(b.AnswerForm(t.Context(), "token", `{"text":"é"}`))
		form, err := b.ClaimForm(t.Context(), "token", "other")
		if err != nil || form.Answer != `{"text":"é"}` || form.Request == "other" || !form.StartedAt.Equal(b.Now()) {
			t.Errorf("the form is %+v, %v", form, err)
		}
		if earlier, err := b.ClaimForm(t.Context(), "TOKEN", "other"); err != nil || earlier != nil {
			t.Errorf("a token that differs in case only: %+v, %v", earlier, err)
		}
	})
}

func TestOldFormsArePrunedInBatches(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		for i := range 5 {
			_, err := b.ClaimForm(t.Context(), fmt.Sprint("token", i), "")
			b.NoError(err)
			b.Advance(time.Hour)
		}
		before := b.Now().Add(-90 * time.Minute) // the first four are older
		for _, want := range []int{3, 1, 0} {
			if n, err := b.PruneForms(t.Context(), before, 3); err != nil || n != want {
				t.Errorf("%d forms pruned, %v, want %d", n, err, want)
			}
		}
		if _, err := b.Form(t.Context(), "token3"); !errors.Is(err, tracker.ErrNotFound) {
			t.Errorf("a pruned form: error = %v, want ErrNotFound", err)
		}
		if _, err := b.Form(t.Context(), "token4"); err != nil {
			t.Errorf("a newer form: %v", err)
		}
	})
}

func TestForgetClearsTheAnswersOfFormsThatNameTheTarget(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		target := tracker.Target{Service: "whm", Type: "box", ID: `ann_"a"@example.org`}
		for token, text := range map[string]string{"named": `the row of ann_\"a\"@example.org`, "other": `the row of annx\"a\"@example.org`} {
			_, err := b.ClaimForm(t.Context(), token, "request")
			b.NoError(err)
			b.NoError(b.AnswerForm(t.Context(), token, `{"text":"`+text+`"}`))
		}
		_, err := b.Forget(t.Context(), target)
		b.NoError(err)
		for token, want := range map[string]bool{"named": false, "other": true} {
			form, err := b.Form(t.Context(), token)
			if err != nil || form.Answer == "" || strings.Contains(form.Answer, "example.org") != want {
				t.Errorf("the form %s is %+v, %v", token, form, err)
			}
		}
	})
}
