package enginetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/enginetest"
)

// Wake-ups of many streams are one pipeline. In Redis and in TCP there is room for it.
func TestMiniRedisTakesALongPipeline(t *testing.T) {
	t.Parallel()
	server, client := enginetest.MiniRedis(t)
	begun := time.Now()
	_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for range 3000 {
			p.LPush(t.Context(), "list", strings.Repeat("x", 100))
		}
		return nil
	})
	if list, listErr := server.List("list"); err != nil || listErr != nil || len(list) != 3000 {
		t.Errorf("after %s, the list has %d entries (%v, %v)", time.Since(begun), len(list), err, listErr)
	}
}
