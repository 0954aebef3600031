package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/site"
)

// listenMetrics opens the port that Prometheus scrapes. It is another one than that of the pages, because Prometheus has
// no session, and whoever may open the pages of an application need not see its metrics.
func (a *example) listenMetrics(context.Context) error {
	if a.settings.metrics == "" {
		return nil
	}
	listener, err := net.Listen("tcp", a.settings.metrics)
	if err != nil {
		return fmt.Errorf("-metrics: %w; choose another with -metrics 127.0.0.1:9465", err)
	}
	a.metrics = listener
	a.OnClose(func() { _ = listener.Close() })
	return nil
}

// serveMetrics serves the figures of the engine, and those of the process, from a registry of the example's own.
func (a *example) serveMetrics(context.Context) error {
	if a.metrics == nil {
		return nil
	}
	registry := prometheus.NewRegistry()
	for _, collector := range []prometheus.Collector{
		admin.Collector(a.engine), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(collector); err != nil {
			return fmt.Errorf("register the metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metricsOf(registry))
	host, _, _ := net.SplitHostPort(a.settings.metrics)
	server := &http.Server{Handler: site.OnlyHosts(mux, host), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() { _ = server.Serve(a.metrics) }()
	a.OnClose(func() { _ = server.Close() })
	fmt.Fprintf(a.Out, "the metrics are http://%s/metrics\n", a.metrics.Addr())
	return nil
}

// metricsOf returns a handler that writes the metrics of a registry in the text format. A program of its own uses
// promhttp.HandlerFor, which compresses them too, and which would add a module to the library's go.mod.
func (a *example) metricsOf(registry prometheus.Gatherer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		families, err := registry.Gather()
		var out bytes.Buffer
		format := expfmt.NewFormat(expfmt.TypeTextPlain)
		encoder := expfmt.NewEncoder(&out, format)
		for _, family := range families {
			err = errors.Join(err, encoder.Encode(family))
		}
		if err != nil {
			a.Logger.Error("the metrics could not be gathered", "error", err)
			http.Error(w, "The metrics could not be gathered. The log of the process says why.", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", string(format))
		_, _ = out.WriteTo(w)
	})
}
