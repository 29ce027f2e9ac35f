"""One module a language; each exports `render(kernel, ...) -> Source`."""
