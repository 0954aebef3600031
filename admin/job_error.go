package admin

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// sameErrorDays is how far back a job's page counts jobs with the same error.
const sameErrorDays = 30

// sameErrorQuery finds the service's jobs with the same error.
func (v *jobView) sameErrorQuery() string {
	return fmt.Sprintf("service:%s %s ended:%dd", v.job.Service, groupTerm(v.job.ErrorGroup), sameErrorDays)
}

// sameErrorURL returns the URL of the service's jobs with the same error. It returns "" if the job has no error
// or ended before errors were grouped.
func (v *jobView) sameErrorURL() string {
	if v.job.ErrorGroup == "" {
		return ""
	}
	return v.queryURL(v.sameErrorQuery())
}

// sameErrorText says how many other jobs have the same error, or "" if there are none.
func (v *jobView) sameErrorText() string {
	switch {
	case v.same <= 0:
		return ""
	case v.sameMore:
		return v.Tf("More than %s other jobs of the last 30 days have the same error.", format.Thousands(v, tracker.MaxCount))
	}
	return v.plural(int64(v.same), "1 other job of the last 30 days has the same error.", "%s other jobs of the last 30 days have the same error.")
}

// prettyJSON indents a JSON document. It does not decode the document, so large numbers stay exact.
func prettyJSON(document json.RawMessage) string {
	if len(document) == 0 {
		return ""
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return string(document)
	}
	return strings.TrimSpace(b.String())
}

// stackLines returns the stack to show: all frames if fullStack is set, and otherwise without those
// of the Go runtime and of Asynq.
func (v *jobView) stackLines(stack string) string {
	if v.fullStack {
		return stack
	}
	var frames []string
	lines := strings.Split(stack, "\n")
	for i := 0; i+1 < len(lines); i++ {
		place := lines[i+1]
		if strings.HasPrefix(place, "\t") && !strings.HasPrefix(lines[i], "runtime") && !strings.Contains(place, "/src/runtime/") &&
			!strings.Contains(place, "/hibiken/asynq") {
			frames = append(frames, lines[i], place)
		}
	}
	return strings.Join(frames, "\n")
}
