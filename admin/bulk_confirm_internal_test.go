package admin

import "testing"

func TestTypedNumberIsThatOfTheJobsThatMatchNow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		view  bulkView
		typed map[string]bool
	}{
		{"few jobs", bulkView{action: "delete", matching: 100}, map[string]bool{"": true}},
		{"many", bulkView{action: "delete", matching: 1000}, map[string]bool{
			"1000": true, "1001": true, "1100": true, // up to a tenth left the selection since the preview
			"999": false, "1101": false, "9999999": false, "": false, "-1": false, "x": false, "1e3": false,
		}},
		{"more than the preview reads", bulkView{action: "retry", incomplete: true, searched: 12_000, matching: 3}, map[string]bool{"20000": true, "12000": false, "3": false}},
	} {
		for typed, want := range c.typed {
			if got := c.view.confirmedBy(typed); got != want {
				t.Errorf("%s, typed %q: confirmed %v, want %v", c.name, typed, got, want)
			}
		}
	}
}
