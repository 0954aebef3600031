package admin_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/enginetest"
)

type greet struct{ Name string }

func (greet) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "hello", Type: "person", Action: "greet"}
}
func (g greet) Target() nawasync.Target { return nawasync.Target{ID: g.Name} }

type greeter struct{ nawasync.AbstractJob[greet] }

func (*greeter) Execute(context.Context, *nawasync.Run[greet]) error { return nil }

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
