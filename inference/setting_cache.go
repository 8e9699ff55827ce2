package inference

import (
	"fmt"
	"strings"
)

// EasyCache says when steps are left out, see denoise.EasyCache. The zero value leaves none
// out.
type EasyCache struct {
	Threshold float64 `json:"threshold"`
	First     int     `json:"first"` // steps that are always computed
}

// firstSteps is EasyCache.First where nobody says so.
const firstSteps = 10

// fewSteps is the number of steps up to which there are none to leave out: they are those of
// models that are distilled to them.
const fewSteps = 8

// easyCache is THRESHOLD or THRESHOLD,FIRST; 0 for none.
func easyCache() value {
	threshold := number(0, maxGuidance, func(j *Job) *float64 { return &j.EasyCache.Threshold })
	first := whole(1, 1000, func(j *Job) *int { return &j.EasyCache.First })
	return value{
		text: func(j Job) string {
			if j.EasyCache == (EasyCache{}) {
				return "0"
			}
			return threshold.text(j) + "," + first.text(j)
		},
		set: func(j *Job, text string) *SettingError {
			one, two, both := strings.Cut(text, ",")
			if !both {
				two = fmt.Sprint(firstSteps)
			}
			err := threshold.set(j, one)
			if err == nil {
				err = first.set(j, two)
			}
			if j.EasyCache.Threshold == 0 {
				j.EasyCache = EasyCache{}
			}
			return err
		},
		check: func(j Job) *SettingError {
			switch {
			case j.EasyCache == (EasyCache{}):
			case j.Solver == "euler" || j.Steps <= fewSteps:
				return &SettingError{Mistake: Unusable, Found: fmt.Sprintf("%g with %d steps of %s", j.EasyCache.Threshold, j.Steps, j.Solver), Want: "0: a model of a few steps needs them all"}
			case j.Steps <= j.EasyCache.First+1:
				return &SettingError{Mistake: Unusable, Found: fmt.Sprintf("%d steps, of which the first %d and the last are always computed", j.Steps, j.EasyCache.First), Want: "more steps"}
			}
			return nil
		},
	}
}

// interval is LOW,HIGH; 0,1 for all.
func interval() value {
	low := number(0, 1, func(j *Job) *float64 { return &j.GuidanceInterval[0] })
	high := number(0, 1, func(j *Job) *float64 { return &j.GuidanceInterval[1] })
	return value{
		text: func(j Job) string {
			if j.GuidanceInterval == [2]float64{} {
				return "0,1"
			}
			return low.text(j) + "," + high.text(j)
		},
		set: func(j *Job, text string) *SettingError {
			one, two, both := strings.Cut(text, ",")
			if !both {
				return &SettingError{Mistake: NotANumber, Found: quoted(text), Want: "two numbers as low,high"}
			}
			err := low.set(j, one)
			if err == nil {
				err = high.set(j, two)
			}
			switch {
			case err != nil:
			case j.GuidanceInterval[0] >= j.GuidanceInterval[1]:
				err = &SettingError{Mistake: Unusable, Found: text, Want: "two numbers as low,high, the second the larger"}
			case j.GuidanceInterval == [2]float64{0, 1}:
				j.GuidanceInterval = [2]float64{}
			}
			return err
		},
	}
}
