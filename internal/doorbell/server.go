package doorbell

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Server is an asynq server that receives wake-ups.
type Server struct{ server *asynq.Server }

// Serve starts an asynq server that passes the wake-ups of the queues to wake. poll is the pause
// between two looks at an empty queue. Redis need not be reachable yet.
func (d *Doorbell) Serve(queues []string, poll time.Duration, wake func(jobstore.Wake)) (*Server, error) {
	names := map[string]int{}
	for _, queue := range queues {
		names[d.QueueName(queue)] = 1
	}
	server := asynq.NewServerFromRedisClient(throttledClient{d.redis}, asynq.Config{
		Concurrency: 1, Queues: names, TaskCheckInterval: poll, ShutdownTimeout: time.Second,
		Logger: asynqLogger{d.logger}, LogLevel: asynq.WarnLevel,
		// No task is ever delayed or retried in Redis.
		DelayedTaskCheckInterval: time.Minute, HealthCheckInterval: time.Hour,
	})
	if err := server.Start(d.Handler(wake)); err != nil {
		return nil, err
	}
	return &Server{server}, nil
}

// Handler returns an asynq handler that passes wake-ups to wake.
func (d *Doorbell) Handler(wake func(jobstore.Wake)) asynq.Handler {
	return asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		w, err := Decode(task.Payload())
		if err != nil {
			d.logger.Warn("an unknown task was dropped", "task_type", task.Type(), "error", err)
			return nil // a repetition would not help
		}
		wake(w)
		return nil
	})
}

// Stop stops the server and waits until it has ended, which takes as long as Redis needs to respond.
// Keep the Redis client open until then: asynq panics if its subscription is closed before.
func (s *Server) Stop() {
	s.server.Stop()
	s.server.Shutdown()
}
