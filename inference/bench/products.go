package bench

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// productRuns is how often each product is measured; the fastest counts.
const productRuns = 3

// products times the product of all tokens with the largest layer, with each row's
// weights in turn, so that what else the machine does slows all of them.
func (q *quantization) products(ctx context.Context) error {
	layer, err := q.largest()
	if err != nil {
		return err
	}
	for i := range q.rows {
		q.rows[i].ProductSeconds = math.Inf(1)
	}
	for run := range productRuns {
		for i := range q.rows {
			q.o.Progress(fmt.Sprintf("%d of %d: %s in %s", run+1, productRuns, layer, q.rows[i].Quant))
			seconds, err := q.product(ctx, q.results[i], layer)
			if err != nil {
				return err
			}
			q.rows[i].ProductSeconds = min(q.rows[i].ProductSeconds, seconds)
		}
	}
	for i := range q.rows {
		q.rows[i].ProductRatio = q.rows[0].ProductSeconds / q.rows[i].ProductSeconds
	}
	q.report.Notes = append(q.report.Notes, "product: all tokens with "+layer+", the rows in turn, the fastest of "+fmt.Sprint(productRuns))
	return nil
}

// largest returns the name of the largest layer of the blocks.
func (q *quantization) largest() (name string, err error) {
	most := int64(0)
	r := q.results[0]
	return name, q.store(&result{}, r.experts[0], func(s *weights.Store) error {
		for _, t := range s.Shapes() {
			if strings.HasPrefix(t.Name, "blocks.") && t.Bytes() > most && strings.HasSuffix(t.Name, ".weight") {
				name, most = t.Name, t.Bytes()
			}
		}
		return nil
	})
}

// product returns the seconds of a product of as many rows as r had tokens.
func (q *quantization) product(ctx context.Context, r *result, layer string) (seconds float64, err error) {
	dev, err := q.o.Open()
	if err != nil {
		return 0, err
	}
	defer dev.Close()
	return seconds, q.store(r, r.experts[0], func(s *weights.Store) error {
		loader := weights.NewLoader(dev, s, nil)
		defer loader.Release()
		w := loader.Weight(layer)
		if err := loader.Err(); err != nil {
			return err
		}
		operands := NewOperands(ctx, dev)
		defer operands.Release()
		x, y := operands.Mat(device.F32, 1, r.tokens(), w.In), operands.Mat(device.F32, 0, r.tokens(), w.Out)
		if err := operands.Err(); err != nil {
			return err
		}
		began := time.Now()
		err := dev.Do(ctx, layer, func(e device.Encoder) { e.Record(device.Linear{X: x, W: w, Y: y}) })
		seconds = time.Since(began).Seconds()
		return err
	})
}
