package nawasync_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// suspender calls the API of a service.
type suspender struct {
	nawasync.AbstractJob[suspend]
	whm *remote.Remote
	url string
}

func (s *suspender) Execute(ctx context.Context, run *nawasync.Run[suspend]) error {
	_, err := s.whm.Call(ctx, "main", remote.Call{Method: http.MethodPost, URL: s.url + "/accounts/" + run.Args.Account + "/suspend"}, nil)
	return err
}

// A Remote in Config.Remotes has its calls stored: those of each attempt, and what the calls of an endpoint
// have in common.
func ExampleConfig_remotes() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Ratelimit", `"default";r=1199;t=300`)
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	db, _, closeAll := enginetest.ExampleServers()
	defer closeAll()

	whm, err := remote.New(remote.Config{Service: "whm", Template: func(*http.Request) string { return "/accounts/{account}/suspend" }})
	if err != nil {
		fmt.Println(err)
		return
	}
	events := make(chan nawasync.Event, 1)
	config := nawasync.Config{DB: db, Remotes: []*remote.Remote{whm}, OnEvent: func(_ context.Context, e nawasync.Event) { events <- e }}
	config.SetTuning(host.Tuning{Calls: 10 * time.Millisecond, Rollup: 10 * time.Millisecond}) // an example does not wait for seconds
	engine, err := nawasync.New(config)
	if err == nil {
		err = nawasync.Register(engine, &suspender{whm: whm, url: server.URL})
	}
	if err == nil {
		err = engine.Start(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = engine.Stop(context.Background()) }()

	_, _ = engine.Dispatch(context.Background(), suspend{Account: "ann"}, nawasync.Options{})
	job := (<-events).Job
	attempts, _ := engine.Reader().Attempts(context.Background(), job)
	for _, call := range attempts[0].Calls {
		fmt.Println(call.Method, call.Template, call.Status)
	}
	var page tracker.EndpointPage
	for len(page.Endpoints) == 0 {
		time.Sleep(10 * time.Millisecond)
		page, _ = engine.Reader().Endpoints(context.Background(), tracker.EndpointSearch{Service: "whm"})
	}
	e := page.Endpoints[0]
	fmt.Println(e.Instance, e.Method, e.Template, "calls:", e.Calls, "failed:", e.Failed, "left:", e.Left)
	quotas, _, _ := engine.Reader().Quotas(context.Background(), "whm", 10)
	fmt.Println("forecast:", quotas[0].Forecast.State)
	// Output:
	// POST /accounts/{account}/suspend 200
	// main POST /accounts/{account}/suspend calls: 1 failed: 0 left: 1199
	// forecast: early
}
