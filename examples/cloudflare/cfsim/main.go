// Command cfsim serves a simulated Cloudflare, so that several processes of the example can use the same one.
//
//	go run ./examples/cloudflare/cfsim -addr 127.0.0.1:2090 -records 5000
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

	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/internal/serve"
)

func main() { os.Exit(start()) }

func start() int {
	addr := flag.String("addr", "127.0.0.1:2090", "the `address` to listen on")
	records := flag.Int("records", 40, "the `number` of records of the first zone")
	zones := flag.String("zones", "alpha.example,bravo.example,carol.example", "the `names` of the zones")
	token := flag.String("token", "secret-token", "the token of the account main")
	limit := flag.Int("limit", 1200, "the `number` of calls that the token may make in 5 minutes")
	burst := flag.Int("per-second", sim.PerSecond, "the `number` of calls a second that one IP address may make; 0 is no limit")
	control := flag.String("control-token", "", "the `token` of the control API; empty makes a random one, which is printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	accounts := []sim.Account{{Name: "main", Token: *token, Zones: strings.Split(*zones, ",")}}
	options := sim.Options{Accounts: accounts, Records: *records, Limit: *limit, PerSecond: *burst, ControlToken: *control}
	if err := run(ctx, *addr, options); err != nil {
		fmt.Fprintln(os.Stderr, "cfsim:", err)
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
	fmt.Printf("simulated Cloudflare: http://%s/client/v4\n", listener.Addr())
	fmt.Printf("inject faults at http://%s/control/faults with the token %s\n", listener.Addr(), simulator.ControlToken())
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second}
	return serve.Until(ctx, server, listener)
}
