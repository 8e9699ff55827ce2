package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gimbal/inference/service/jobs"
)

// metrics are what Prometheus reads.
type metrics struct {
	http.Handler
	requests *prometheus.HistogramVec
}

func newMetrics(x *index) *metrics {
	r := prometheus.NewRegistry()
	m := &metrics{
		Handler: promhttp.HandlerFor(r, promhttp.HandlerOpts{}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gimbal_http_request_seconds", Help: "Time to answer requests, without streams.",
			Buckets: []float64{.001, .005, .02, .05, .2, 1, 5, 30},
		}, []string{"route", "code"}),
	}
	r.MustRegister(m.requests, statuses{x}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gimbal_event_listeners", Help: "Streams of events that are open.",
	}, func() float64 {
		x.mu.Lock()
		defer x.mu.Unlock()
		return float64(len(x.listeners))
	}))
	return m
}

// statuses counts jobs by status.
type statuses struct{ x *index }

var jobsMetric = prometheus.NewDesc("gimbal_jobs", "Jobs by status.", []string{"status"}, nil)

// Describe implements prometheus.Collector.
func (s statuses) Describe(ch chan<- *prometheus.Desc) { ch <- jobsMetric }

// Collect implements prometheus.Collector.
func (s statuses) Collect(ch chan<- prometheus.Metric) {
	counts := map[jobs.Status]int{jobs.Queued: 0, jobs.Running: 0, jobs.Done: 0, jobs.Failed: 0, jobs.Cancelled: 0}
	for _, j := range s.x.all(func(*jobs.Job) bool { return true }) {
		counts[j.Status]++
	}
	for status, n := range counts {
		ch <- prometheus.MustNewConstMetric(jobsMetric, prometheus.GaugeValue, float64(n), string(status))
	}
}

// count measures the requests of a route.
func (m *metrics) count(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, c := time.Now(), &codeWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(c, r)
		m.requests.WithLabelValues(route, strconv.Itoa(c.code)).Observe(time.Since(start).Seconds())
	})
}

// codeWriter remembers the status.
type codeWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (c *codeWriter) WriteHeader(code int) {
	c.code = code
	c.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (c *codeWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
