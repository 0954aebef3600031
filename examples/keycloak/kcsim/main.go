// Command kcsim serves a simulated Keycloak, so that several processes of the example can use the same one.
//
//	go run ./examples/keycloak/kcsim -addr 127.0.0.1:2091 -users 5000
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nawasara/nawasync/examples/internal/serve"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
)

func main() { os.Exit(start()) }

func start() int {
	addr := flag.String("addr", "127.0.0.1:2091", "the `address` to listen on")
	users := flag.Int("users", 40, "the `number` of users of the first realm")
	names := flag.String("realms", "main,shop", "the `names` of the realms")
	secret := flag.String("secret", "client-secret", "the secret of the client nawasync in each realm")
	control := flag.String("control-token", "", "the `token` of the control API; empty makes a random one, which is printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := sim.Options{Users: *users, ControlToken: *control}
	for name := range strings.SplitSeq(*names, ",") {
		o.Realms = append(o.Realms, sim.Realm{Name: name, Secret: *secret})
	}
	if err := run(ctx, *addr, o); err != nil {
		fmt.Fprintln(os.Stderr, "kcsim:", err)
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
	fmt.Printf("simulated Keycloak: http://%s\n", listener.Addr())
	fmt.Printf("inject faults at http://%s/control/faults with the token %s\n", listener.Addr(), simulator.ControlToken())
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second}
	return serve.Until(ctx, server, listener)
}
