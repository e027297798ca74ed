import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Annotation, EditorState, type Extension } from "@codemirror/state";
import {
  EditorView,
  drawSelection,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  placeholder as placeholderText,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import classes from "./yaml.module.css";

/** A mistake in the text, at a line counted from 1. */
export interface Mistake {
  line: number;
  message: string;
}

interface YamlEditorProps {
  /** What the text is, for screen readers. */
  label: string;
  text: string;
  /** Missing for a text that is only read. */
  onChange?: (text: string) => void;
  mistake?: Mistake | undefined;
  placeholder?: string;
  /** ID of an element that tells how to use the editor. */
  describedBy?: string;
}

/** Marks a change that the property made, which its owner knows already. */
const fromProperty = Annotation.define<boolean>();

/** YAML with line numbers, folding, search and undo. Tab indents; Escape and then Tab leaves. */
export function YamlEditor({ label, text, onChange, mistake, placeholder, describedBy }: YamlEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const changed = useRef(onChange);
  useEffect(() => {
    changed.current = onChange;
  }, [onChange]);

  const readOnly = onChange === undefined;
  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      extensions: [
        ...appearance,
        placeholder ? placeholderText(placeholder) : [],
        readOnly ? reading : editing,
        EditorView.contentAttributes.of({ "aria-label": label, ...(describedBy ? { "aria-describedby": describedBy } : {}) }),
        EditorView.updateListener.of((update) => {
          const ours = update.transactions.some((transaction) => transaction.annotation(fromProperty));
          if (update.docChanged && !ours) changed.current?.(update.state.doc.toString());
        }),
      ],
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [label, placeholder, readOnly, describedBy]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text }, annotations: fromProperty.of(true) });
  }, [text, label, placeholder, readOnly, describedBy]);

  useEffect(() => {
    if (view.current) mark(view.current, mistake);
  }, [mistake]);

  return <div ref={host} className={classes.editor} data-read-only={readOnly || undefined} />;
}

function mark(editor: EditorView, mistake: Mistake | undefined) {
  const { doc } = editor.state;
  if (!mistake) {
    editor.dispatch(setDiagnostics(editor.state, []));
    return;
  }
  const line = doc.line(Math.min(mistake.line, doc.lines));
  const from = line.from + (/^\s*/.exec(line.text)?.[0].length ?? 0);
  editor.dispatch(setDiagnostics(editor.state, [{ from, to: line.to, severity: "error", message: mistake.message }]));
  editor.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
  editor.focus();
}

const highlighting = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.content, tags.attributeValue], color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword, tags.labelName, tags.typeName], color: "var(--code-value)" },
  { tag: tags.comment, color: "var(--mantine-color-dimmed)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.meta], color: "var(--mantine-color-dimmed)" },
]);

const appearance: Extension[] = [
  lineNumbers(),
  foldGutter({ openText: "▾", closedText: "▸" }),
  highlightSpecialChars(),
  drawSelection(),
  yaml(),
  indentUnit.of("  "),
  syntaxHighlighting(highlighting),
  highlightSelectionMatches(),
  EditorView.lineWrapping,
  keymap.of([...searchKeymap, ...foldKeymap]),
];

const editing: Extension[] = [
  history(),
  indentOnInput(),
  bracketMatching(),
  highlightActiveLine(),
  highlightActiveLineGutter(),
  lintGutter(),
  keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
];

const reading: Extension[] = [
  EditorState.readOnly.of(true),
  // Focusable, so that a keyboard can scroll, select and copy.
  EditorView.contentAttributes.of({ tabindex: "0", "aria-readonly": "true" }),
  keymap.of(defaultKeymap),
];
