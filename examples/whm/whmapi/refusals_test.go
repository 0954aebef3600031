package whmapi_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// The answers are those of the simulator itself, without a fault.
func TestRealRefusalsOfTheSimulatorHaveTheirClass(t *testing.T) {
	t.Parallel()
	_, client := simulator(t, sim.Options{})
	ctx, strong := t.Context(), secret.New(password)
	create := func(user, domain, plan string, password secret.Secret) error {
		return client.CreateAccount(ctx, whmapi.Account{User: user, Domain: domain, Plan: plan}, password)
	}
	account := func(user string) error {
		_, err := client.Account(ctx, user)
		return err
	}
	mailbox := func(account, email string) error {
		_, err := client.Mailbox(ctx, account, email)
		return err
	}
	noError(t, create("fresh", "fresh.example", "basic", strong))
	noError(t, create("longnamed1", "long.example", "basic", strong))
	for name, c := range map[string]struct {
		err   error
		class fault.Class
		text  string
	}{
		"a username that exists":              {create("alpha", "x.example", "basic", strong), fault.ClassAlreadyExists, "a group for that username already exists"},
		"a username that begins like another": {create("longnamed2", "x.example", "basic", strong), fault.ClassAlreadyExists, "longname is taken"},
		"a domain that exists":                {create("other", "alpha.example", "basic", strong), fault.ClassAlreadyExists, "is already taken"},
		"an invalid username":                 {create("Not Valid", "x.example", "basic", strong), fault.ClassPermanent, "invalid username"},
		"an unknown package":                  {create("other", "x.example", "gold", strong), fault.ClassPermanent, "Invalid package"},
		"a weak password of an account":       {create("other", "x.example", "basic", secret.New("short")), fault.ClassPermanent, "too weak"},
		"no such account":                     {account("nobody"), fault.ClassGone, "does not exist"},
		"suspending no such account":          {client.SuspendAccount(ctx, "nobody", "x"), fault.ClassGone, "does not exist"},
		"removing no such account":            {client.RemoveAccount(ctx, "nobody"), fault.ClassGone, "does not exist"},
		"changing to an unknown package":      {client.ChangePackage(ctx, "alpha", "gold"), fault.ClassPermanent, "invalid package"},
		"a mailbox that exists":               {client.AddMailbox(ctx, "alpha", email, strong, 1), fault.ClassAlreadyExists, "already exists"},
		"a mailbox of another domain":         {client.AddMailbox(ctx, "alpha", "x@bravo.example", strong, 1), fault.ClassPermanent, "not allowed"},
		"a weak password of a mailbox":        {client.SetPassword(ctx, "alpha", email, secret.New("short")), fault.ClassPermanent, "too weak"},
		"a quota that is too large":           {client.SetQuota(ctx, "alpha", email, 1<<40), fault.ClassPermanent, "must be at most"},
		"no such mailbox":                     {mailbox("alpha", "nobody@alpha.example"), fault.ClassGone, "no mailbox"},
		"deleting no such mailbox":            {client.DeleteMailbox(ctx, "alpha", "nobody@alpha.example"), fault.ClassGone, "do not have an email account"},
		"a mailbox of no account":             {mailbox("nobody", email), fault.ClassGone, "does not exist"},
	} {
		if fault.ClassOf(c.err) != c.class || !strings.Contains(c.err.Error(), c.text) || strings.Contains(c.err.Error(), password) {
			t.Errorf("%s: class %s, want %s with %q and without the password: %v", name, fault.ClassOf(c.err), c.class, c.text, c.err)
		}
	}
}

func TestWrongTokenIsRefusedWithTheFormOfAPI2(t *testing.T) {
	t.Parallel()
	client := clientOf(t, sim.New(sim.Options{Token: "another token"}))
	if _, err := client.Accounts(t.Context()); fault.ClassOf(err) != fault.ClassCredentials || !strings.Contains(err.Error(), "HTTP 403: Access denied") {
		t.Errorf("class %s, want credentials: %v", fault.ClassOf(err), err)
	}
}
