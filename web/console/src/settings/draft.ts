import { ApiError } from "@kubewandb/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Spec, saveUserLayer, specQuery } from "../api.ts";

/** A text that is being edited, and what it was when the editing began. */
interface Draft {
  base: string;
  version: string;
  text: string;
}

/** The user layer as it is being edited: saving, and what to do when somebody else saved first. */
export function useDraft(spec: Spec) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => fromSpec(spec));
  const [theirs, setTheirs] = useState<Spec>();
  const dirty = draft.text !== draft.base;
  const [seen, setSeen] = useState(spec.version);
  if (spec.version !== seen) {
    setSeen(spec.version);
    // Nothing to lose: follow what others save.
    if (!dirty && !theirs && spec.version !== draft.version) setDraft(fromSpec(spec));
  }

  const save = useMutation({
    mutationFn: (sent: Draft) => saveUserLayer({ user: sent.text, version: sent.version }),
    onSuccess: (saved, sent) => {
      setDraft((now) => ({ base: sent.text, version: saved.version, text: now.text }));
      client.setQueryData(specQuery.queryKey, (before) => before && { ...before, ...saved, user: sent.text });
    },
    onError: async (error) => {
      if (!(error instanceof ApiError) || error.status !== 409) return;
      setTheirs(await client.query({ ...specQuery, staleTime: 0 }));
    },
  });

  return {
    text: draft.text,
    dirty,
    save,
    /** What somebody else saved meanwhile, and what the text was before; undefined without a conflict. */
    conflict: theirs && { base: draft.base, theirs: theirs.user },
    edit: (text: string) => {
      setDraft((now) => ({ ...now, text }));
      if (save.isSuccess || save.isError) save.reset();
    },
    submit: () => {
      if (!save.isPending) save.mutate(draft);
    },
    revert: () => {
      setDraft((now) => ({ ...now, text: now.base }));
      save.reset();
    },
    takeTheirs: () => {
      if (theirs) setDraft(fromSpec(theirs));
      setTheirs(undefined);
      save.reset();
    },
    keepMine: () => {
      if (theirs) setDraft((now) => ({ base: theirs.user, version: theirs.version, text: now.text }));
      setTheirs(undefined);
      save.reset();
    },
  };
}

function fromSpec({ user, version }: Spec): Draft {
  return { base: user, version, text: user };
}
