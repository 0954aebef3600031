// Command whmsim serves a simulated WHM server, so that several processes of the example can use the
// same server.
//
//	go run ./examples/whm/whmsim -addr 127.0.0.1:2087 -mailboxes 10000
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nawasara/nawasync/examples/internal/serve"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

func main() { os.Exit(start()) }

func start() int {
	addr := flag.String("addr", "127.0.0.1:2087", "the `address` to listen on")
	mailboxes := flag.Int("mailboxes", 40, "the `number` of mailboxes")
	user := flag.String("user", "root", "the WHM user")
	token := flag.String("token", "secret-token", "the user's API token")
	control := flag.String("control-token", "", "the `token` of the control API; empty makes a random one, which is printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, sim.Options{User: *user, Token: *token, Mailboxes: *mailboxes, ControlToken: *control}); err != nil {
		fmt.Fprintln(os.Stderr, "whmsim:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, addr string, o sim.Options) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	simulator := sim.New(o)
	fmt.Printf("simulated WHM server: http://%s/json-api/ (user %s)\n", listener.Addr(), o.User)
	fmt.Printf("inject faults at http://%s/control/faults with the token %s\n", listener.Addr(), simulator.ControlToken())
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second}
	return serve.Until(ctx, server, listener)
}
