package nawasync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// taskPayload is a task as its row keeps it.
type taskPayload struct {
	plain, shown []byte
	engine       *Engine
}

// redactor returns a redactor for the secrets of the task.
func (p taskPayload) redactor(maskKeys []string) *secret.Redactor {
	return p.engine.newRedactor(p.plain, p.shown, nil, maskKeys)
}

// keptTask is the stored form of a task. Text is a payload that is JSON, Binary any other.
type keptTask struct {
	Task    string            `json:"task"`
	Text    json.RawMessage   `json:"payload,omitempty"`
	Binary  []byte            `json:"payload_base64,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// packTask puts the task into the row: masked for people to read, and sealed for a retry. Without a
// Sealer, the row keeps the task for a retry only if masking changes nothing.
func (e *Engine) packTask(job *jobstore.Job, task *asynq.Task, maskKeys []string) taskPayload {
	plain, hidden := encodeTask(task)
	var shown []byte
	if len(plain) <= MaxArguments {
		shown = e.maskPayload(plain, Mask(hidden, maskKeys...), nil, maskKeys)
	}
	job.Payload, job.Sealed = shown, []byte{} // empty: the task is not kept
	switch {
	case len(plain) > MaxArguments:
		job.Payload = fmt.Appendf(nil, `{"task":%s,"payload_bytes":%d}`, jsonText(e.redactor.Text(task.Type())), len(task.Payload()))
	case validateJSON(plain) != nil: // the type or a header is not UTF-8
		job.Payload = fmt.Appendf(nil, `{"payload_bytes":%d}`, len(task.Payload()))
	case e.config.Sealer != nil:
		sealed, err := secret.Seal(e.config.Sealer, bindingOf(job), plain)
		if err != nil {
			e.logger.Warn("the payload of a task is not kept", "kind", job.Kind(), "error", err)
			break
		}
		job.Sealed = sealed
	default:
		if same, err := secret.SameJSON(shown, plain); err == nil && same {
			job.Payload, job.Sealed = plain, nil
		}
	}
	return taskPayload{plain, shown, e}
}

// encodeTask returns the stored form of a task, and the same with a binary payload hidden. The bytes
// of a JSON payload are kept as they are, since handlers may check a signature.
func encodeTask(task *asynq.Task) (plain, hidden []byte) {
	head := append([]byte(`{"task":`), jsonText(task.Type())...)
	tail := []byte("}")
	if headers := task.Headers(); len(headers) > 0 {
		encoded, _ := json.Marshal(headers) // a map of strings always marshals
		tail = slices.Concat([]byte(`,"headers":`), encoded, tail)
	}
	payload := task.Payload()
	if len(payload) == 0 {
		plain = slices.Concat(head, tail)
		return plain, plain
	}
	if json.Valid(payload) && validateJSON(payload) == nil {
		plain = slices.Concat(head, []byte(`,"payload":`), payload, tail)
		return plain, plain
	}
	encoded, _ := json.Marshal(payload) // bytes always marshal
	field := []byte(`,"payload_base64":`)
	return slices.Concat(head, field, encoded, tail), slices.Concat(head, field, jsonText(secret.Masked), tail)
}

func jsonText(text string) []byte {
	encoded, _ := json.Marshal(text) // a string always marshals
	return encoded
}

// decodeTask returns the task that encodeTask has encoded, with the options of its retry.
func decodeTask(plain []byte, o ...asynq.Option) (*asynq.Task, error) {
	var kept keptTask
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&kept); err != nil {
		return nil, fmt.Errorf("decode the task: %w", err)
	}
	payload := []byte(kept.Text)
	if payload == nil {
		payload = kept.Binary
	}
	return asynq.NewTaskWithHeaders(kept.Task, payload, kept.Headers, o...), nil
}
