package doorbell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// throttledClient pauses after errors while Redis is down. The dequeue loop of asynq does not
// pause after an error (hibiken/asynq PR #1058) and would use a whole CPU core.
type throttledClient struct{ redis.UniversalClient }

const dequeuePause = 200 * time.Millisecond

func (c throttledClient) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	cmd := c.UniversalClient.EvalSha(ctx, sha1, keys, args...)
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		if c.Ping(ctx).Err() != nil {
			timer := time.NewTimer(dequeuePause)
			defer timer.Stop()
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
	}
	return cmd
}

// asynqLogger writes asynq's messages to slog.
type asynqLogger struct{ *slog.Logger }

func (l asynqLogger) Debug(args ...any) { l.Logger.Debug(fmt.Sprint(args...), "component", "asynq") }

func (l asynqLogger) Info(args ...any)  { l.Logger.Debug(fmt.Sprint(args...), "component", "asynq") }
func (l asynqLogger) Warn(args ...any)  { l.Logger.Warn(fmt.Sprint(args...), "component", "asynq") }
func (l asynqLogger) Error(args ...any) { l.Logger.Error(fmt.Sprint(args...), "component", "asynq") }

// Fatal logs an error. Unlike asynq's default logger, it does not exit: a library must not end
// its host's process.
func (l asynqLogger) Fatal(args ...any) { l.Logger.Error(fmt.Sprint(args...), "component", "asynq") }
