// Command pdnssim serves a simulated PowerDNS, so that several processes of the example can use the same one.
//
//	go run ./examples/powerdns/pdnssim -addr 127.0.0.1:8082 -sets 5000
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
	"github.com/nawasara/nawasync/examples/powerdns/pdnssim/sim"
)

func main() { os.Exit(start()) }

func start() int {
	addr := flag.String("addr", "127.0.0.1:8082", "the `address` to listen on")
	sets := flag.Int("sets", 40, "the `number` of record sets of the first zone")
	zones := flag.String("zones", "alpha.example.,bravo.example.", "the `names` of the zones")
	key := flag.String("key", "secret-key", "the API key")
	control := flag.String("control-token", "", "the `token` of the control API; empty makes a random one, which is printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, sim.Options{Key: *key, Zones: strings.Split(*zones, ","), Sets: *sets, ControlToken: *control}); err != nil {
		fmt.Fprintln(os.Stderr, "pdnssim:", err)
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
	fmt.Printf("simulated PowerDNS: http://%s\n", listener.Addr())
	fmt.Printf("inject faults at http://%s/control/faults with the token %s\n", listener.Addr(), simulator.ControlToken())
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second}
	return serve.Until(ctx, server, listener)
}
