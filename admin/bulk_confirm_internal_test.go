package admin

import (
	"math"
	"testing"
)

func TestTypedNumberIsThatOfThePreviewOrOfTheJobsThatMatchNow(t *testing.T) {
	t.Parallel()
	type typed struct{ text, shown string }
	const refused = -1
	complete := func(n int64) bulkView { return bulkView{action: "delete", matching: n} }
	incomplete := func(n int64) bulkView { return bulkView{action: "delete", matching: n, incomplete: true} }
	for _, c := range []struct {
		name  string
		now   bulkView
		typed map[typed]int64 // how many jobs are confirmed
	}{
		{"few jobs", complete(100), map[typed]int64{{"", ""}: 100, {"", "100"}: 100, {"500", "500"}: 100, {"all", "all"}: math.MaxInt64}},
		{"many", complete(1000), map[typed]int64{
			{"1000", ""}: 1000, {"1001", ""}: 1001, {"1100", ""}: 1100, // up to a tenth left the selection since the preview
			{"999", ""}: refused, {"1101", ""}: refused, {"9999999", ""}: refused, {"", ""}: refused, {"-1", ""}: refused, {"x", ""}: refused, {"1e3", ""}: refused,
			{"5000", "5000"}: 5000, // many left the selection since the preview
			{"5000", "6000"}: refused, {"999", "999"}: refused, {"", "1000"}: refused, {"", "57"}: refused,
			{"all", "all"}: math.MaxInt64, {"All", "all"}: math.MaxInt64, // the preview was not complete, and the count of now is
			{"all", ""}: refused, {"all", "1000"}: refused,
		}},
		{"more than can be counted", incomplete(12_000), map[typed]int64{
			{"all", ""}: math.MaxInt64, {"all", "all"}: math.MaxInt64, {"all", "11000"}: math.MaxInt64,
			{"20000", "20000"}: 20_000, // nobody knows whether more match, but the run ends there
			{"12000", "12000"}: 12_000,
			{"11999", "11999"}: refused, {"20000", ""}: refused, {"12000", ""}: refused, {"", "all"}: refused, {"", ""}: refused,
		}},
		{"few jobs so far, and the database is slow", incomplete(3), map[typed]int64{{"", "57"}: 100, {"", "101"}: refused, {"", ""}: refused, {"", "all"}: refused}},
	} {
		for in, want := range c.typed {
			v := c.now
			v.request = &request{h: &handler{}}
			most, ok := v.confirmed(in.text, in.shown)
			if !ok {
				most = refused
			}
			if most != want {
				t.Errorf("%s, typed %q, shown %q: confirmed %d, want %d", c.name, in.text, in.shown, most, want)
			}
		}
	}
}
