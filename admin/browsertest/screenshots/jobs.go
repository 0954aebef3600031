package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
)

// change is the argument type of the jobs of the two services without a repository. How says how a job ends.
type change struct {
	Zone  string `json:"zone,omitempty"`
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	How   string `json:"how,omitempty"`
}

type dnsChange struct{ change }

func (dnsChange) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "cloudflare", Type: "dns_record", Action: "update"}
}

func (c dnsChange) Target() nawasync.Target    { return nawasync.Target{Instance: c.Zone, ID: c.Name} }
func (dnsChange) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 2} }

type userChange struct{ change }

func (userChange) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "keycloak", Type: "user", Action: "assign_role"}
}

func (c userChange) Target() nawasync.Target    { return nawasync.Target{Instance: "staff", ID: c.Name} }
func (userChange) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 2} }

type export struct{ Realm string }

func (export) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "keycloak", Type: "realm", Action: "export_users"}
}
func (e export) Target() nawasync.Target { return nawasync.Target{Instance: e.Realm, ID: e.Realm} }

// handlers runs the jobs. In the past, its clock moves by the time that each job took.
type handlers struct {
	took func()
}

func (h handlers) run(ctx context.Context, logf func(string, ...any), c change) error {
	h.took()
	switch c.How {
	case "token":
		return fault.WithClass(fault.ClassCredentials, errors.New("update DNS record: HTTP 403: the API token was revoked"))
	case "timeout":
		return fault.WithClass(fault.ClassTransient, errors.New("assign role: keycloak did not answer within 10 s"))
	case "unknown":
		logf("looked for the user %s in the realm staff", c.Name)
		return fault.WithClass(fault.ClassPermanent, fmt.Errorf("assign role: the user %s does not exist in the realm", c.Name))
	}
	return ctx.Err()
}

type dnsHandler struct {
	nawasync.AbstractJob[dnsChange]
	handlers
}

func (h *dnsHandler) Execute(ctx context.Context, run *nawasync.Run[dnsChange]) error {
	return h.run(ctx, run.Logf, run.Args.change)
}

type userHandler struct {
	nawasync.AbstractJob[userChange]
	handlers
}

func (h *userHandler) Execute(ctx context.Context, run *nawasync.Run[userChange]) error {
	return h.run(ctx, run.Logf, run.Args.change)
}

type exportHandler struct {
	nawasync.AbstractJob[export]
}

// Execute never ends before its context, so that a screenshot shows a running job.
func (*exportHandler) Execute(ctx context.Context, run *nawasync.Run[export]) error {
	const total = 12_480
	for done := int64(5_200); ; done = min(done+90, total-1) {
		run.Progress(ctx, done, total, fmt.Sprintf("exported %d of %d users", done, total))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
