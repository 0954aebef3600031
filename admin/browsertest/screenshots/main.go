// Command screenshots takes the screenshots of the README and the documents: it fills a database with a day of jobs
// of three services, serves the operators' pages and the WHM example, and opens them in Chromium, in light and dark.
//
//	go run ./screenshots -o ../../docs/images
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	directory := flag.String("o", "../../docs/images", "the `directory` for the screenshots")
	serve := flag.String("serve", "", "an `address`, such as 127.0.0.1:8090: serve the pages there until Ctrl-C, and take no screenshots")
	flag.Parse()
	if err := run(ctx, *directory, *serve); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, directory, address string) error {
	temporary, err := os.MkdirTemp("", "screenshots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	s, err := newSite(ctx, filepath.Join(temporary, "site.db"))
	if err != nil {
		return err
	}
	defer s.close()
	if address != "" {
		fmt.Println("the pages are at http://" + address)
		server := &http.Server{Addr: address, Handler: s.handler} //nolint:gosec // for one person on this machine
		go func() {
			<-ctx.Done()
			_ = server.Close()
		}()
		return server.ListenAndServe()
	}
	server := httptest.NewServer(s.handler)
	defer server.Close()
	return takeScreenshots(ctx, server.URL, s.pages(), directory)
}
