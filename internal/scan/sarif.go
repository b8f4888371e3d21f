package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// sarif is the part of SARIF 2.1.0 that viewers need (docs.oasis-open.org/sarif/sarif/v2.1.0).
type sarif struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string            `json:"id"`
	ShortDescription sarifText         `json:"shortDescription"`
	HelpURI          string            `json:"helpUri,omitempty"`
	Properties       map[string]string `json:"properties"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
}

// WriteSARIF writes the findings as SARIF, for viewers that show findings in files. Since a vulnerability of a package is
// not in a file of the repository, it is shown at the first line of dockerfile, a path relative to the repository.
func WriteSARIF(w io.Writer, r Result, dockerfile string) error {
	var one sarifRun
	one.Tool.Driver = sarifDriver{
		Name: "stoker with " + r.Scanner, Version: r.Version, InformationURI: "https://github.com/stokerd/stoker", Rules: []sarifRule{},
	}
	one.Results = []sarifResult{}
	index := map[string]int{}
	for _, f := range r.Findings {
		at, ok := index[f.ID]
		if !ok {
			at = len(index)
			index[f.ID] = at
			one.Tool.Driver.Rules = append(one.Tool.Driver.Rules, sarifRule{
				ID: f.ID, ShortDescription: sarifText{cmp.Or(f.Title, f.ID)}, HelpURI: f.URL,
				Properties: map[string]string{"security-severity": score(f.Severity)},
			})
		}
		text := fmt.Sprintf("%s %s has %s (%s)", f.Package, f.Installed, f.ID, f.Severity)
		if f.Fixed != "" {
			text += ", fixed in " + f.Fixed
		}
		result := sarifResult{
			RuleID: f.ID, RuleIndex: at, Level: level(f.Severity), Message: sarifText{text},
			Fingerprints: map[string]string{"stoker/v1": strings.Join([]string{f.ID, f.Package, f.Path}, "|")},
		}
		var where sarifLocation
		where.Physical.Artifact.URI, where.Physical.Region.StartLine = dockerfile, 1
		result.Locations = []sarifLocation{where}
		one.Results = append(one.Results, result)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarif{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{one}})
}

// level returns SARIF's level for a severity.
func level(s Severity) string {
	switch s {
	case Critical, High:
		return "error"
	case Medium:
		return "warning"
	}
	return "note"
}

// score returns the number by which viewers sort, which is about the middle of the range that CVSS has for a severity.
func score(s Severity) string {
	switch s {
	case Critical:
		return "9.5"
	case High:
		return "8.0"
	case Medium:
		return "5.5"
	case Low:
		return "2.0"
	}
	return "0.0"
}
