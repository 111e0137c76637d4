/** Commits that compare one row more than they need: whoever has lost what that row stands for changes nothing. */
import type { CairnError } from '@cairn/protocol'
import type { Commit, CommitProof, CommitResult, Compare, RowStore, StoreRow } from '../../ports.js'

export type ProvenCommit = Commit & { readonly proof: CommitProof }

/**
 * Commits with this compare as the last one. If the commit is refused, `explain` judges the row of that compare: its
 * error is thrown; without one, something else has refused the commit.
 */
export async function commitFenced(
  store: Pick<RowStore, 'commit'>,
  commit: ProvenCommit,
  compare: Compare,
  explain: (row: StoreRow | undefined) => CairnError | undefined,
): Promise<CommitResult> {
  const compares = [...commit.compares, compare]
  const result = await store.commit({ ...commit, compares })
  if (result.committed) return result
  const error = explain(result.rows[compares.length - 1])
  if (error !== undefined) throw error
  return result
}
