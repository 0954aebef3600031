package chart

import (
	"strings"
	"time"
)

// The size of the box that a Plot is drawn in. The page stretches it to the width that there is.
const (
	PlotWidth  = 720.0
	PlotHeight = 160.0
	plotTop    = 22.0 // the highest value; the label of its grid line is above
	barGap     = 2.0
	minBar     = 2.0 // height of the smallest value that is not 0
)

// Plot is a chart over time with a value axis that begins at 0. It has stacked bars or lines, one per series.
type Plot struct {
	Name    string // for readers who do not see the chart
	Lines   bool
	Columns []Column
	Grid    []Label // positions are y coordinates, from the top line to zero
	Times   []Label // positions are x coordinates
	Pauses  []Span
	Marks   []Span // moments, without a width
	Series  []Series
}

// Series is one of the at most three series of a Plot.
type Series struct {
	Name  string // class of its marks in the style sheet
	Paths []string
	Dots  []Dot // values between two gaps, which no line shows
}

// Dot is a point of a Plot.
type Dot struct{ X, Y float64 }

// Column has the values of one step of time.
type Column struct {
	From, To time.Time
	Values   []int64 // one per series
	Empty    bool    // there is no data, which is not the same as 0
	Open     bool    // the step has not ended
	Title    string  // what the column shows
	URL      string  // the list that the column counts
	X, Width float64
	Parts    []Part
}

// Part is the part of a column that stands for the value of a series.
type Part struct {
	Series string
	Y, H   float64
}

// Label is a text on an axis.
type Label struct {
	At   float64
	Text string
}

// Span is a part of the time axis.
type Span struct {
	X, Width float64
	Title    string
}

// From returns when the plot begins.
func (p *Plot) From() time.Time { return p.Columns[0].From }

// To returns when the plot ends.
func (p *Plot) To() time.Time { return p.Columns[len(p.Columns)-1].To }

// Top returns the largest value that a column reaches.
func (p *Plot) Top() (top int64) {
	for _, c := range p.Columns {
		var sum int64
		for _, v := range c.Values {
			if p.Lines {
				sum = max(sum, v)
			} else {
				sum += v
			}
		}
		top = max(top, sum)
	}
	return top
}

// Draw computes the coordinates. Step is the distance between the grid lines, which text labels.
func (p *Plot) Draw(step int64, text func(value int64) string) {
	lines := max(1, (p.Top()+step-1)/step)
	height := func(value int64) float64 { return float64(value) / float64(lines*step) * (PlotHeight - plotTop) }
	for line := lines; line >= 0; line-- {
		p.Grid = append(p.Grid, Label{PlotHeight - height(line*step), text(line * step)})
	}
	width := PlotWidth / float64(len(p.Columns))
	for i := range p.Columns {
		c := &p.Columns[i]
		c.X, c.Width = float64(i)*width, width
		if !p.Lines {
			p.stack(c, height)
		}
	}
	if p.Lines {
		for i := range p.Series {
			p.connect(i, height)
		}
	}
}

// stack puts the bars of a column on top of each other.
func (p *Plot) stack(c *Column, height func(int64) float64) {
	y := PlotHeight
	for i, value := range c.Values {
		if value > 0 {
			h := max(minBar, height(value))
			y -= h
			c.Parts = append(c.Parts, Part{p.Series[i].Name, y, h})
		}
	}
}

// connect draws the line of a series, with a gap where there is no data.
func (p *Plot) connect(series int, height func(int64) float64) {
	s := &p.Series[series]
	var points []Dot
	end := func() {
		if len(points) == 1 {
			s.Dots = append(s.Dots, points[0])
		} else if len(points) > 1 {
			var path strings.Builder
			for _, dot := range points {
				path.WriteString(Coordinate(dot.X) + "," + Coordinate(dot.Y) + " ")
			}
			s.Paths = append(s.Paths, strings.TrimSpace(path.String()))
		}
		points = nil
	}
	for _, c := range p.Columns {
		if c.Empty {
			end()
			continue
		}
		points = append(points, Dot{c.X + c.Width/2, PlotHeight - height(c.Values[series])})
	}
	end()
}

// Position returns the x coordinate of a time.
func (p *Plot) Position(at time.Time) float64 {
	share := float64(at.Sub(p.From())) / float64(p.To().Sub(p.From()))
	return min(max(share, 0), 1) * PlotWidth
}

// Pause marks a part of the time axis. It ignores a part outside the plot.
func (p *Plot) Pause(from, to time.Time, title string) {
	if x, end := p.Position(from), p.Position(to); end > x {
		p.Pauses = append(p.Pauses, Span{x, max(end-x, 3), title})
	}
}

// Mark marks a moment on the time axis. It ignores one outside the plot.
func (p *Plot) Mark(at time.Time, title string) {
	if !at.Before(p.From()) && at.Before(p.To()) {
		p.Marks = append(p.Marks, Span{X: p.Position(at), Title: title})
	}
}

// Share formats an x coordinate as a share of the width, for an SVG attribute outside the box.
func Share(x float64) string { return Coordinate(100*x/PlotWidth) + "%" }

// Inner returns the width of a column's bars.
func (c Column) Inner() float64 { return max(1, c.Width-barGap) }

// Height returns the height of all bars of the column, and the y coordinate of their top.
func (c Column) Height() (y, h float64) {
	if len(c.Parts) == 0 {
		return PlotHeight, 0
	}
	y = c.Parts[len(c.Parts)-1].Y
	return y, PlotHeight - y
}
