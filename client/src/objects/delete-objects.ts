/**
 * Deletes, many with one call. Each item has an op id and an outcome of its own: those that were refused for a while, as
 * any change may be, are repeated until they are settled; those that were answered are never sent again.
 */
import {
  CairnError,
  type DeleteItem,
  type DeleteOutcome,
  deleteObjects,
  ERROR_CODES,
  type ErrorCode,
  hasCode,
  LIST_PAGE_MAX,
  toCairnError,
} from '@cairn/protocol'
import type { CallControl, DeleteTarget } from '../api.js'
import { REPEATABLE } from '../cluster/metadata-caller.js'
import type { ClientParts } from '../parts.js'
import { throwIfCancelled } from '../waiting.js'
import { underSession } from './commit.js'

type DeleteControl = CallControl & { readonly owner?: string }

export async function deleteAll(
  parts: ClientParts,
  bucket: string,
  targets: readonly DeleteTarget[],
  { owner = '', signal }: DeleteControl = {},
): Promise<readonly DeleteOutcome[]> {
  const outcomes: DeleteOutcome[] = []
  for (let at = 0; at < targets.length; at += LIST_PAGE_MAX) {
    throwIfCancelled(signal)
    const page = targets.slice(at, at + LIST_PAGE_MAX)
    outcomes.push(...(await deletePage(parts, { bucket, owner }, page)))
  }
  return outcomes
}

export async function deleteOne(
  parts: ClientParts,
  bucket: string,
  target: DeleteTarget,
  control: DeleteControl | undefined,
): Promise<DeleteOutcome> {
  const [first] = await deleteAll(parts, bucket, [target], control)
  const outcome = requireOutcome(first)
  const error = errorIn(outcome)
  if (error !== undefined) throw error
  return outcome
}

function deletePage(
  { sessions, metadata }: ClientParts,
  facts: { readonly bucket: string; readonly owner: string },
  targets: readonly DeleteTarget[],
): Promise<DeleteOutcome[]> {
  return underSession({ sessions }, async (session) => {
    const page = new DeletePage(targets.map((target) => ({ ...target, op: session.nextOp() })))
    try {
      await metadata.change(
        deleteObjects,
        session,
        (attempt) => ({ ...facts, items: page.left, attempt }),
        ({ outcomes }) => page.take(outcomes),
      )
    } catch (error) {
      page.giveUp(toCairnError(error))
    }
    return page.outcomes()
  })
}

/** Items of one call, and what has become of them. */
class DeletePage {
  /** Those without a final outcome. */
  left: readonly DeleteItem[]
  private readonly items: readonly DeleteItem[]
  private readonly byItem = new Map<DeleteItem, DeleteOutcome>()

  constructor(items: readonly DeleteItem[]) {
    this.items = items
    this.left = items
  }

  /** Takes the outcomes of those that are left; throws the error for which some of them are to be repeated. */
  take(outcomes: readonly DeleteOutcome[]): void {
    const refused: { readonly item: DeleteItem; readonly error: CairnError }[] = []
    for (const [at, item] of this.left.entries()) {
      const outcome = requireOutcome(outcomes[at])
      const error = errorIn(outcome)
      if (hasCode(error, ...REPEATABLE)) refused.push({ item, error })
      else this.byItem.set(item, outcome)
    }
    this.left = refused.map(({ item }) => item)
    const errors = refused.map(({ error }) => error)
    const [gravest] = errors.sort((a, b) => REPEATABLE.indexOf(a.code) - REPEATABLE.indexOf(b.code))
    if (gravest !== undefined) throw gravest
  }

  /** What failed as a whole is thrown; after outcomes of some it is that of the others. */
  giveUp(error: CairnError): void {
    if (this.byItem.size === 0) throw error
    const { code, message } = error
    const outcome = { deleteMarker: false, errorCode: code, errorMessage: message }
    for (const item of this.left) this.byItem.set(item, outcome)
  }

  outcomes(): DeleteOutcome[] {
    return this.items.map((item) => requireOutcome(this.byItem.get(item)))
  }
}

function requireOutcome(outcome: DeleteOutcome | undefined): DeleteOutcome {
  if (outcome === undefined) throw new CairnError('Internal', 'a delete was answered without an outcome')
  return outcome
}

function errorIn({ errorCode, errorMessage, neverSettled }: DeleteOutcome): CairnError | undefined {
  if (errorCode === undefined) return undefined
  const code = Object.hasOwn(ERROR_CODES, errorCode) ? (errorCode as ErrorCode) : 'Internal'
  const details = neverSettled === true ? { settled: 'never' } : {}
  return new CairnError(code, errorMessage ?? 'the delete was refused', { details })
}
