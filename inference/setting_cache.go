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

// MagCache says when the blocks of the model are left out, see denoise.MagCache. The zero value
// never leaves them out.
type MagCache struct {
	Threshold float64 `json:"threshold"`
	Most      int     `json:"most"`      // passes that are left out one after the other
	Retention float64 `json:"retention"` // share of an expert's steps that are always computed
}

// TeaCache says when the blocks of the model are left out, see denoise.TeaCache. The zero value
// never leaves them out.
type TeaCache struct {
	Threshold float64 `json:"threshold"`
	Of        string  `json:"of,omitempty"` // whose polynomial; "" for the checkpoint's own
}

// Caches are the ways to leave computations out, of which a job may have one.
type Caches struct {
	EasyCache EasyCache `json:"easycache,omitzero"`
	MagCache  MagCache  `json:"magcache,omitzero"`
	TeaCache  TeaCache  `json:"teacache,omitzero"`
}

// Cache returns the setting of the job's cache; "" for none.
func (c Caches) Cache() string {
	for _, one := range c.on() {
		return one
	}
	return ""
}

func (c Caches) on() (settings []string) {
	for _, one := range []struct {
		setting   string
		threshold float64
	}{{"easycache", c.EasyCache.Threshold}, {"magcache", c.MagCache.Threshold}, {"teacache", c.TeaCache.Threshold}} {
		if one.threshold > 0 {
			settings = append(settings, one.setting)
		}
	}
	return settings
}

// fewSteps is the number of steps up to which there are none to leave out: they are those of
// models that are distilled to them.
const fewSteps = 8

// teaCaches are the models whose polynomials package denoise has; the first is the checkpoint's
// own.
var teaCaches = []string{"own", "wan2.1-480p", "wan2.1-480p-ret", "wan2.1-720p", "wan2.1-720p-ret"}

// easyCache is THRESHOLD or THRESHOLD,FIRST; 0 for none.
func easyCache() value {
	v := cache("easycache", func(j *Job) { j.EasyCache = EasyCache{} },
		cachePart{"", number(0, maxGuidance, func(j *Job) *float64 { return &j.EasyCache.Threshold })},
		cachePart{"10", whole(1, 1000, func(j *Job) *int { return &j.EasyCache.First })})
	check := v.check
	v.check = func(j Job) *SettingError {
		if err := check(j); err != nil || j.EasyCache == (EasyCache{}) || j.Steps > j.EasyCache.First+1 {
			return err
		}
		return &SettingError{Mistake: Unusable, Found: fmt.Sprintf("%d steps, of which the first %d and the last are always computed", j.Steps, j.EasyCache.First), Want: "more steps"}
	}
	return v
}

// magCache is THRESHOLD, THRESHOLD,MOST or THRESHOLD,MOST,RETENTION; 0 for none.
func magCache() value {
	return cache("magcache", func(j *Job) { j.MagCache = MagCache{} },
		cachePart{"", number(0, maxGuidance, func(j *Job) *float64 { return &j.MagCache.Threshold })},
		cachePart{"2", whole(1, 1000, func(j *Job) *int { return &j.MagCache.Most })},
		cachePart{"0.1", number(0, 1, func(j *Job) *float64 { return &j.MagCache.Retention })})
}

// teaCache is THRESHOLD or THRESHOLD,MODEL; 0 for none.
func teaCache() value {
	return cache("teacache", func(j *Job) { j.TeaCache = TeaCache{} },
		cachePart{"", number(0, maxGuidance, func(j *Job) *float64 { return &j.TeaCache.Threshold })},
		cachePart{teaCaches[0], choiceOrZero(teaCaches, func(j *Job) *string { return &j.TeaCache.Of })})
}

// cachePart is one of the values of a cache's setting.
type cachePart struct {
	otherwise string // where it is left out
	value
}

// cache is the setting of a cache: its parts with commas between them, the first of which is the
// threshold; 0 for none.
func cache(name string, off func(*Job), parts ...cachePart) value {
	on := func(j Job) bool {
		without := j
		off(&without)
		return without.Caches != j.Caches
	}
	return value{
		text: func(j Job) string {
			if !on(j) {
				return "0"
			}
			var texts []string
			for _, p := range parts {
				texts = append(texts, p.text(j))
			}
			return strings.Join(texts, ",")
		},
		set: func(j *Job, text string) *SettingError {
			given := strings.Split(text, ",")
			if len(given) > len(parts) {
				return &SettingError{Mistake: NotANumber, Found: quoted(text), Want: fmt.Sprintf("at most %d values with commas between them", len(parts))}
			}
			for i, p := range parts {
				word := p.otherwise
				if i < len(given) {
					word = given[i]
				}
				if err := p.set(j, word); err != nil {
					return err
				}
			}
			if parts[0].text(*j) == "0" {
				off(j)
			}
			return nil
		},
		check: func(j Job) *SettingError {
			all := j.on()
			switch {
			case !on(j):
			case j.Solver == "euler" || j.Steps <= fewSteps:
				return &SettingError{Mistake: Unusable, Found: fmt.Sprintf("%s with %d steps of %s", parts[0].text(j), j.Steps, j.Solver), Want: "0: a model of a few steps needs them all"}
			case len(all) > 1 && all[0] != name:
				return &SettingError{Mistake: Unusable, Found: fmt.Sprintf("%s beside %s", parts[0].text(j), all[0]), Want: "0: there is one cache at a time"}
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
