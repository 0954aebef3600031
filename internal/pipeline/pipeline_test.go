package pipeline_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/pipeline"
)

// counter counts what travels alone and what in company.
type counter struct {
	alone, together, batches atomic.Int64
	hold                     func() // called when one travels alone
}

func (*counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			c.alone.Add(1)
			c.hold()
		}
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "evalsha" {
			c.together.Add(int64(len(cmds)))
			c.batches.Add(1)
		}
		return next(ctx, cmds)
	}
}

func open(t *testing.T) (*pipeline.Client, *counter) {
	t.Helper()
	server := miniredis.NewMiniRedis()
	t.Cleanup(server.Close)
	// A connection without buffers: what is written waits until it is read.
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return server.Dial() }})
	t.Cleanup(func() { _ = client.Close() })
	c := &counter{hold: func() {}}
	client.AddHook(c)
	return pipeline.New(client), c
}

func TestScriptsCalledTogetherShareRoundTripsAndGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	client, count := open(t)
	script := redis.NewScript(`if ARGV[1] == "7" then return redis.error_reply("BAD seven") end return KEYS[1] .. ARGV[1]`)
	if err := script.Load(t.Context(), client).Err(); err != nil {
		t.Fatal(err)
	}
	const calls = 400
	var wg, ready sync.WaitGroup
	ready.Add(calls)
	count.hold = sync.OnceFunc(ready.Wait) // the first is on its way until all have come
	for i := range calls {
		wg.Go(func() {
			ready.Done()
			got, err := script.Run(t.Context(), client, []string{"key"}, i).Text()
			switch {
			case i == 7 && (err == nil || err.Error() != "BAD seven"):
				t.Errorf("call 7: %q, %v", got, err)
			case i != 7 && (err != nil || got != fmt.Sprint("key", i)):
				t.Errorf("call %d: %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
	if n := count.alone.Load() + count.together.Load(); n != calls {
		t.Errorf("%d of %d calls were made", n, calls)
	}
	if count.batches.Load()+count.alone.Load() > calls/2 {
		t.Errorf("%d calls took %d round trips", calls, count.batches.Load()+count.alone.Load())
	}
}

func TestScriptThatIsNotLoadedIsLoadedAsEver(t *testing.T) {
	t.Parallel()
	client, _ := open(t)
	script := redis.NewScript(`return ARGV[1]`)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if got, err := script.Run(t.Context(), client, nil, i).Text(); err != nil || got != fmt.Sprint(i) {
				t.Errorf("call %d: %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

func TestCallerWhoseContextEndedGetsItsErrorAndNoAnswer(t *testing.T) {
	t.Parallel()
	client, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := redis.NewScript("return 1").EvalSha(ctx, client, nil).Err(); err == nil {
		t.Error("no error")
	}
}
