package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/enginetest"
)

type greet struct{ Name string }

func (greet) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "hello", Type: "person", Action: "greet"}
}
func (g greet) Target() nawasync.Target { return nawasync.Target{ID: g.Name} }

type greeter struct{ nawasync.AbstractJob[greet] }

func (*greeter) Execute(context.Context, *nawasync.Run[greet]) error { return nil }

// The pages stand on the application's mux. Subject says who sends a request, and the enforcer what they may: package
// policy has one of casbin, with roles in the database. Without a role, a user sees nothing.
func ExampleNew() {
	ctx := context.Background()
	engine, db, _, stop := enginetest.Example(func(e *nawasync.Engine, _ *gorm.DB) error { return nawasync.Register(e, &greeter{}) })
	defer stop()
	err := policy.Seed(ctx, db) // creates the roles, once
	if err == nil {
		err = policy.Grant(ctx, db, "ann", admin.RoleOperator)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	enforcer, err := policy.NewEnforcer(ctx, db)
	if err != nil {
		fmt.Println(err)
		return
	}
	pages, err := admin.New(engine, admin.Config{
		Prefix: "/admin/sync", Enforcer: enforcer,
		Subject: func(r *http.Request) string { return r.Header.Get("X-User") }, // yours reads the session
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/sync/", pages)

	for _, user := range []string{"ann", "bob", ""} {
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/admin/sync/jobs", nil)
		request.Header.Set("X-User", user)
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		fmt.Printf("%q %d\n", user, answer.Code)
	}
	// Output:
	// "ann" 200
	// "bob" 403
	// "" 403
}

// The application serves its registry as usual, for example with promhttp.HandlerFor.
func ExampleCollector() {
	engine, _, events, stop := enginetest.Example(func(e *nawasync.Engine, _ *gorm.DB) error { return nawasync.Register(e, &greeter{}) })
	defer stop()
	registry := prometheus.NewRegistry()
	registry.MustRegister(admin.Collector(engine))

	_, _ = engine.Dispatch(context.Background(), greet{Name: "ann"}, nawasync.Options{})
	<-events
	families, err := registry.Gather()
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetCounter().GetValue() > 0 {
				outcome, service := m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue()
				fmt.Println(family.GetName(), service, outcome, m.GetCounter().GetValue())
			}
		}
	}
	fmt.Println(err)
	// Output:
	// nawasync_jobs_ended_total hello success 1
	// <nil>
}

// Ann may view one instance, and nothing of another, whatever her roles allow.
func ExampleEnforcer() {
	ctx := context.Background()
	db, _, closeAll := enginetest.ExampleServers()
	defer closeAll()
	err := policy.Seed(ctx, db)
	if err == nil {
		err = policy.Grant(ctx, db, "ann", admin.RoleViewer)
	}
	if err == nil {
		err = policy.Add(ctx, db, policy.Rule{Subject: "ann", Service: "whm", Instance: "vip", Permission: admin.PermissionView, Deny: true})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	enforcer, err := policy.NewEnforcer(ctx, db)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, instance := range []string{"web1", "vip", "vip/2"} {
		allowed, err := enforcer.Enforce("ann", "whm", instance, admin.PermissionView)
		fmt.Println(instance, allowed, err)
	}
	// Output:
	// web1 true <nil>
	// vip false <nil>
	// vip/2 false <nil>
}

// The quota of mailboxes is stored in MB, and the state as a number.
func ExampleField() {
	config := admin.Config{Fields: map[string]admin.Field{
		"whm/mailbox.quota": {Label: "Quota", Format: admin.FormatBytes(1 << 20)},
		"state":             {Label: "State", Format: admin.FormatEnum(map[string]string{"0": "off", "1": "on"})},
	}}
	for name, value := range map[string]string{"whm/mailbox.quota": "700"} {
		field := config.Fields[name]
		fmt.Printf("%s %q\n", field.Label, field.Format([]byte(value), time.UTC))
	}
	// Output: Quota "700\u00a0MB"
}
