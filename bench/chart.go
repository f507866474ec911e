package main

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// chart is a drawing of lines over a common axis, as inline SVG.
type chart struct {
	Title, Unit string
	Log         bool // the height is logarithmic
	Ticks       []tick
	Series      []series
	Marks       []tick       // upright lines with a text
	Bands       [][2]float64 // stretches of the axis that are shaded
	Limit       float64      // a level line; 0 for none
	From, To    float64
}

// tick is a place on the axis, from 0 to 1 for Ticks and in the axis' own unit for Marks.
type tick struct {
	At   float64
	Text string
}

// series is one line.
type series struct {
	Name, Class string
	X, Y        []float64
}

// The size of a chart, and the room for its labels.
const (
	chartWide, chartHigh    = 1000.0, 300.0
	marginLeft, marginRight = 70.0, 15.0
	marginTop, marginBottom = 34.0, 34.0
	plotWide, plotHigh      = chartWide - marginLeft - marginRight, chartHigh - marginTop - marginBottom
	plotFoot                = chartHigh - marginBottom
)

// heights returns the least and the greatest height of a chart, on its scale.
func heights(c chart) (low, high float64) {
	low, high = math.Inf(1), max(c.Limit*1.3, 1e-9)
	for _, s := range c.Series {
		for _, y := range s.Y {
			if y > 0 {
				low = min(low, y)
			}
			high = max(high, y)
		}
	}
	if !c.Log {
		return 0, high * 1.08
	}
	return math.Floor(math.Log10(min(low, high/10))), math.Log10(high * 1.3)
}

// levels returns the heights at which lines are drawn across a chart.
func levels(c chart, low, high float64) []float64 {
	list := []float64{}
	if c.Log {
		for e := low; e <= high; e++ {
			list = append(list, math.Pow(10, e))
		}
		return list
	}
	step := math.Pow(10, math.Floor(math.Log10(high)))
	for high/step < 3 {
		step /= 2
	}
	for y := 0.0; y <= high; y += step {
		list = append(list, y)
	}
	return list
}

// drawChart draws a chart.
func drawChart(c chart) template.HTML {
	var b strings.Builder
	low, high := heights(c)
	x := func(at float64) float64 { return marginLeft + plotWide*min(1, max(0, (at-c.From)/(c.To-c.From))) }
	y := func(v float64) float64 {
		if c.Log {
			v = math.Log10(max(v, math.Pow(10, low)))
		}
		return plotFoot - plotHigh*(v-low)/(high-low)
	}
	fmt.Fprintf(&b, `<figure><figcaption>%s</figcaption><svg viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		html.EscapeString(c.Title), chartWide, chartHigh, html.EscapeString(c.Title))
	for _, band := range c.Bands {
		fmt.Fprintf(&b, `<rect class="stall" x="%.1f" y="%g" width="%.1f" height="%g"><title>the generator itself stalled</title></rect>`, x(band[0]), marginTop, max(1, x(band[1])-x(band[0])), plotHigh)
	}
	for _, v := range levels(c, low, high) {
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="left" x="%g" y="%.1f">%g%s</text>`,
			marginLeft, chartWide-marginRight, y(v), y(v), marginLeft-6, y(v)+4, math.Round(v*1000)/1000, c.Unit)
	}
	for _, t := range c.Ticks {
		fmt.Fprintf(&b, `<text class="below" x="%.1f" y="%g">%s</text>`, x(t.At), plotFoot+18, html.EscapeString(t.Text))
	}
	if c.Limit > 0 {
		fmt.Fprintf(&b, `<line class="limit" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, marginLeft, chartWide-marginRight,
			y(c.Limit), y(c.Limit))
	}
	for i, m := range c.Marks {
		fmt.Fprintf(&b, `<g class="mark"><line x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><text x="%.1f" y="%g">%s</text></g>`,
			x(m.At), x(m.At), marginTop, plotFoot, x(m.At)+3, marginTop+11+12*float64(i%4), html.EscapeString(m.Text))
	}
	for i, s := range c.Series {
		var path strings.Builder
		for k := range s.X {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(s.X[k]), y(s.Y[k]))
		}
		fmt.Fprintf(&b, `<polyline class="%s" points="%s"/><text class="name %s" x="%g" y="16">%s</text>`, s.Class,
			path.String(), s.Class, marginLeft+float64(i)*150, html.EscapeString(s.Name))
	}
	b.WriteString(`</svg></figure>`)
	return template.HTML(b.String()) // every text in it is escaped above
}
