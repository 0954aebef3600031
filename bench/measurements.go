package main

import (
	"math"
	"slices"
	"strconv"
)

// figure is one metric of one subject, measured in each round.
type figure struct {
	Subject string    `json:"subject"`
	Metric  string    `json:"metric"` // ends with the unit
	Median  float64   `json:"median"`
	Rounds  []float64 `json:"rounds"`
}

// measurements holds the figures of a run in the order in which they were first measured. The zero
// value is ready to use.
type measurements struct{ figures []*figure }

// add adds the value of one round. It ignores NaN, which stands for a value that could not be
// measured.
func (m *measurements) add(subject, metric string, value float64) {
	if math.IsNaN(value) {
		return
	}
	f := m.find(subject, metric)
	if f == nil {
		f = &figure{Subject: subject, Metric: metric}
		m.figures = append(m.figures, f)
	}
	f.Rounds = append(f.Rounds, roundFigure(value))
	f.Median = roundFigure(median(f.Rounds))
}

// roundFigure rounds to three digits after the decimal point: more are noise.
func roundFigure(value float64) float64 { return math.Round(value*1000) / 1000 }

func (m *measurements) find(subject, metric string) *figure {
	for _, f := range m.figures {
		if f.Subject == subject && f.Metric == metric {
			return f
		}
	}
	return nil
}

// median returns the median of the rounds, or NaN if nothing was measured.
func (m *measurements) median(subject, metric string) float64 {
	if f := m.find(subject, metric); f != nil {
		return f.Median
	}
	return math.NaN()
}

// column is one column of a table of measurements.
type column struct {
	metric, title string
	digits        int // after the decimal point
}

// table returns the medians, a row for each subject that has one of them.
func (m *measurements) table(name string, subjects []string, columns []column) table {
	t := table{name: name, header: []string{""}}
	for _, c := range columns {
		t.header = append(t.header, c.title)
	}
	for _, subject := range subjects {
		row, measured := []string{subject}, false
		for _, c := range columns {
			measured = measured || m.find(subject, c.metric) != nil
			row = append(row, format(m.median(subject, c.metric), c.digits))
		}
		if measured {
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// format formats a figure. It returns "n/a" for NaN.
func format(value float64, digits int) string {
	if math.IsNaN(value) {
		return "n/a"
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

// median returns the median of a list, or NaN if the list is empty.
func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	list = slices.Sorted(slices.Values(list))
	middle := len(list) / 2
	if len(list)%2 == 0 {
		return (list[middle-1] + list[middle]) / 2
	}
	return list[middle]
}
