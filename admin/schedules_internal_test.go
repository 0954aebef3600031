package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSimpleSchedulesAreShownInWords(t *testing.T) {
	t.Parallel()
	p := &request{h: &handler{}, r: httptest.NewRequest(http.MethodGet, "/", nil)}
	for spec, want := range map[string]string{
		"@hourly": "every hour at minute 0", "@daily": "every day at 00:00", "@every 90m": "every 90\u00a0min", "*/15 * * * *": "every 15 minutes",
		"* * * * *": "every minute", "*/1 * * * *": "every minute", "5 * * * *": "every hour at minute 5", "30 2 * * *": "every day at 02:30",
		"0 7 * * 1": "every Monday at 07:00", "0 7 * * 7": "every Sunday at 07:00", "15 3 1 * *": "on day 1 of each month at 03:15",
		// What is not simple, or would be wrong in words, is shown as it is.
		"*/25 * * * *": "", "0 7 1 * 1": "", "0 7 * 2 *": "", "0 7,8 * * *": "", "0 0 31 2-4 *": "", "0 */7 * * *": "", "nonsense": "",
	} {
		if got := p.specText(spec); got != want {
			t.Errorf("%s is %q, want %q", spec, got, want)
		}
	}
}
