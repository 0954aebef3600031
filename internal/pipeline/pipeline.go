// Package pipeline sends scripts that are called at the same time to Redis in one
// round trip. asynq runs one script per task and step; a write and a read of the
// socket for each cost more than the scripts.
package pipeline

import (
	"context"
	"runtime"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Client is a redis.UniversalClient whose EvalSha calls travel together: what comes
// while a batch is on its way makes the next. A lone call waits for nobody. It has
// no goroutine of its own while nobody calls, and is safe for concurrent use.
type Client struct {
	redis.UniversalClient

	mu      sync.Mutex
	waiting []call
	busy    bool
}

type call struct {
	cmd  *redis.Cmd
	size int
	done chan struct{}
}

// limit is the size of a batch in bytes, a dozen of asynq's scripts. It keeps a
// batch from holding up the next for long. And it is no more than one read of the
// peer: on a connection without buffers (net.Pipe, on which miniredis serves
// tests) a server that answers the first command while we still write the last
// would wait for us, and we for it.
const limit = 4000

// overhead of a word on the wire, and more: "$4096\r\n…\r\n".
const overhead = 10

// New returns a Client on another.
func New(client redis.UniversalClient) *Client { return &Client{UniversalClient: client} }

// EvalSha is the client's, in company. A caller whose ctx ends does not wait for
// the batch; the script may run all the same, as it may when an answer is lost.
func (c *Client) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, "evalsha", sha1, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	words = append(words, args...)
	if err := ctx.Err(); err != nil {
		return failed(ctx, words, err)
	}
	one := call{redis.NewCmd(context.WithoutCancel(ctx), words...), size(words), make(chan struct{})}
	if len(keys) > 0 {
		one.cmd.SetFirstKeyPos(3) // where a cluster's client looks for the node
	}
	c.mu.Lock()
	c.waiting = append(c.waiting, one)
	if !c.busy {
		c.busy = true
		go c.drain()
	}
	c.mu.Unlock()
	select {
	case <-one.done:
		return one.cmd
	case <-ctx.Done():
		return failed(ctx, words, ctx.Err())
	}
}

func failed(ctx context.Context, words []any, err error) *redis.Cmd {
	cmd := redis.NewCmd(ctx, words...)
	cmd.SetErr(err)
	return cmd
}

func size(words []any) (n int) {
	for _, word := range words {
		n += overhead
		switch w := word.(type) {
		case string:
			n += len(w)
		case []byte:
			n += len(w)
		default:
			n += overhead // a number
		}
	}
	return n
}

func (c *Client) drain() {
	for {
		runtime.Gosched() // callers that are ready to run come along
		c.mu.Lock()
		n, bytes := 0, 0
		for n < len(c.waiting) && (n == 0 || bytes+c.waiting[n].size <= limit) {
			bytes += c.waiting[n].size
			n++
		}
		batch := c.waiting[:n:n]
		if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
			c.waiting = nil
		}
		c.busy = n > 0
		c.mu.Unlock()
		if n == 0 {
			return
		}
		c.send(batch)
	}
}

func (c *Client) send(batch []call) {
	defer func() {
		for _, one := range batch {
			close(one.done)
		}
	}()
	// Each command holds its own error, NOSCRIPT among them.
	ctx := context.Background()
	if len(batch) == 1 {
		_ = c.Process(ctx, batch[0].cmd)
		return
	}
	pipe := c.Pipeline()
	for _, one := range batch {
		_ = pipe.Process(ctx, one.cmd)
	}
	_, _ = pipe.Exec(ctx)
}
