package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-analyze/charts"
)

// panel is one bar chart of a plot: a group of bars for each label, a bar of it for
// each series.
type panel struct {
	title  string // with the unit
	labels []string
	series []series
}

type series struct {
	name   string
	values []float64 // one a label
}

// bars is a panel of one series.
func bars(title string, labels []string, values []float64) panel {
	return panel{title, labels, []series{{"", values}}}
}

// sizes is a panel of sizes in bytes, in a unit that suits the largest.
func sizes(title string, labels []string, bytes []int64) panel {
	unit, scale := "GB", 1e9
	if slices.Max(bytes) < 1e9 {
		unit, scale = "MB", 1e6
	}
	values := make([]float64, len(bytes))
	for i, n := range bytes {
		values[i] = float64(n) / scale
	}
	return bars(fmt.Sprintf("%s (%s)", title, unit), labels, values)
}

// The sizes of a plot in pixels.
const (
	panelWidth  = 460
	panelHeight = 380
	headHeight  = 64
	margin      = 16
)

// plot draws the report's panels side by side under a heading, as PNG.
func (r *Report) plot() ([]byte, error) {
	width := max(2, len(r.panels)) * panelWidth
	theme := charts.GetTheme(charts.ThemeLight)
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: width, Height: headHeight + panelHeight, Theme: theme})
	p.FilledRect(0, 0, width, headHeight+panelHeight, theme.GetBackgroundColor(), theme.GetBackgroundColor(), 0)
	font := charts.NewFontStyleWithSize(16)
	font.FontColor = theme.GetTitleTextColor()
	p.Text("gimbal bench "+r.Benchmark, margin, 26, 0, font)
	font.FontSize = 9
	p.Text(r.where(), margin, 44, 0, font)
	p.Text(r.Model.String(), margin, 59, 0, font)
	for i, panel := range r.panels {
		each := width / len(r.panels)
		box := charts.NewBox(i*each, headHeight, (i+1)*each, headHeight+panelHeight)
		if err := panel.draw(p.Child(charts.PainterBoxOption(box)), theme); err != nil {
			return nil, err
		}
	}
	return p.Bytes()
}

func (p panel) draw(painter *charts.Painter, theme charts.ColorPalette) error {
	var values [][]float64
	var names []string
	for _, s := range p.series {
		values = append(values, s.values)
		names = append(names, s.name)
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Theme = theme
	opt.Padding = charts.NewBoxEqual(margin)
	opt.Title = charts.TitleOption{Text: p.title, FontStyle: charts.NewFontStyleWithSize(11)}
	opt.CategoryAxis.Labels = p.labels
	opt.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.0)}}
	opt.ValueFormatter = number
	opt.Legend.Show = charts.Ptr(strings.Join(names, "") != "")
	opt.Legend.SeriesNames = names
	opt.Legend.Offset = charts.OffsetStr{Left: charts.PositionRight, Top: "24"} // under the title
	opt.Legend.FontStyle = charts.NewFontStyleWithSize(9)
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label = charts.SeriesLabel{Show: charts.Ptr(true), ValueFormatter: number, FontStyle: charts.NewFontStyleWithSize(8)}
	}
	return painter.BarChart(opt)
}
