package main

import (
	"fmt"
	"math"
	"strings"
)

// table is one table of a report. Its name is that of its block in benchmarks.md.
type table struct {
	name   string
	header []string
	rows   [][]string
}

// markdown returns the table in Markdown.
func (t table) markdown() string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.header)
	b.WriteString("|" + strings.Repeat("---|", len(t.header)) + "\n")
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// ratio is a figure that has a target.
type ratio struct {
	Name     string   `json:"name"`
	Measured *float64 `json:"measured"` // nil if it could not be measured
	Target   string   `json:"target,omitempty"`
	Reached  *bool    `json:"reached,omitempty"` // nil without a target or a measurement
	digits   int
}

func atLeast(name string, value, limit float64) ratio {
	return newRatio(name, value, fmt.Sprintf("≥ %g", limit), value >= limit)
}

func atMost(name string, value, limit float64) ratio {
	return newRatio(name, value, fmt.Sprintf("≤ %g", limit), value <= limit)
}

func newRatio(name string, value float64, target string, reached bool) ratio {
	r := ratio{Name: name, Target: target, digits: 2}
	if !math.IsNaN(value) {
		value = roundFigure(value)
		r.Measured = &value
		if target != "" {
			r.Reached = &reached
		}
	}
	return r
}

// ratioTable returns the table of some ratios.
func ratioTable(name string, ratios []ratio) table {
	t := table{name: name, header: []string{"Ratio", "Measured", "Target", "Reached"}}
	for _, r := range ratios {
		measured, reached := "n/a", ""
		if r.Measured != nil {
			measured = format(*r.Measured, r.digits)
		}
		if r.Reached != nil {
			reached = map[bool]string{true: "yes", false: "no"}[*r.Reached]
		}
		t.rows = append(t.rows, []string{r.Name, measured, r.Target, reached})
	}
	return t
}

// report is what one run of the command measured: a section of benchmarks.json, and blocks of
// benchmarks.md.
type report struct {
	section string
	tables  []table

	Environment environment    `json:"environment"`
	Parameters  map[string]any `json:"parameters"`
	Figures     []*figure      `json:"figures"`
	Ratios      []ratio        `json:"ratios,omitempty"`
}

// emit prints the report, and writes it into the documents if the options name their folder.
func (r *report) emit(o options) error {
	fmt.Println(r.sentence())
	for _, t := range r.tables {
		fmt.Printf("\n%s", t.markdown())
	}
	if o.write == "" {
		return nil
	}
	return r.publish(o.write)
}

// sentence says how the figures were measured.
func (r *report) sentence() string {
	return fmt.Sprintf("%s. Rounds: %v.", r.Environment.sentence(), r.Parameters["rounds"])
}
