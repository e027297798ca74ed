package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// npmLock lists the packages whose code the web pages bundle; only these programs embed pages.
const npmLock = "web/package-lock.json"

var programsWithPages = []string{"server", "console"}

// writeBillOfMaterials lists what the binary was linked from, as the Go toolchain recorded it inside the binary, and the
// npm packages of the pages it embeds.
func writeBillOfMaterials(binary, program, version, path string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read build information: %w", err)
	}
	components := make([]cyclonedx.Component, 0, len(info.Deps)+1)
	components = append(components, library("golang", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		components = append(components, library("golang", module.Path, module.Version))
	}
	if slices.Contains(programsWithPages, program) {
		packages, err := npmComponents(npmLock)
		if err != nil {
			return err
		}
		components = append(components, packages...)
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		Type: cyclonedx.ComponentTypeApplication, Name: program, Version: version,
		PackageURL: "pkg:golang/github.com/kubewandb/kubewandb@" + version,
	}}
	bom.Components = &components

	output, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create bill of materials: %w", err)
	}
	encodeErr := cyclonedx.NewBOMEncoder(output, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	if err := errors.Join(encodeErr, output.Close()); err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	return nil
}

func library(kind, name, version string) cyclonedx.Component {
	return cyclonedx.Component{
		BOMRef: "pkg:" + kind + "/" + name + "@" + version, Type: cyclonedx.ComponentTypeLibrary,
		Name: name, Version: version, PackageURL: "pkg:" + kind + "/" + name + "@" + version,
	}
}

func npmComponents(path string) ([]cyclonedx.Component, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: the web workspace is missing; run this command from the repository's root: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
			Dev     bool   `json:"dev"`
			Link    bool   `json:"link"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	var components []cyclonedx.Component
	for folder, entry := range lock.Packages {
		_, name, found := cutLast(folder, "node_modules/")
		if !found || entry.Dev || entry.Link {
			continue
		}
		components = append(components, library("npm", strings.Replace(name, "@", "%40", 1), entry.Version))
	}
	slices.SortFunc(components, func(a, b cyclonedx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	return slices.CompactFunc(components, func(a, b cyclonedx.Component) bool { return a.BOMRef == b.BOMRef }), nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}
