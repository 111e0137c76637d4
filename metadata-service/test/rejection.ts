import { CairnError } from '@cairn/protocol'

/** The error that a promise rejects with; fails the test when it does not, or with something else. */
export async function rejection(work: Promise<unknown>): Promise<CairnError> {
  try {
    await work
  } catch (error) {
    if (error instanceof CairnError) return error
    throw error
  }
  throw new Error('nothing was rejected')
}
