/**
 * What becomes of a process whose embedded metadata store has failed: it reads on, since what it has is sound, says
 * that it takes no more writes, and has to be started again. While it starts it gives up at once: nothing that needs
 * a write would ever come.
 */
import type { CairnError } from '@cairn/protocol'
import type { Logger } from '../log.js'
import { MetadataError } from './metadata-error.js'

const ADVICE = 'look at its disk, then start again: nothing that was acknowledged is lost'

export class StoreFailure {
  private readonly log: Logger
  private error: MetadataError | undefined
  private readonly failed: Promise<never>
  private reject: (error: MetadataError) => void = () => undefined

  constructor(log: Logger) {
    this.log = log
    this.failed = new Promise((_resolve, reject) => {
      this.reject = reject
    })
    this.failed.catch(() => undefined)
  }

  /** Why a write would fail, for people; `undefined` if the store is well. */
  get trouble(): string | undefined {
    return this.error?.message
  }

  /** The store has failed. */
  note(cause: CairnError): void {
    const { message } = cause.cause instanceof Error ? cause.cause : cause
    this.error = new MetadataError(`the metadata store takes no more writes (${message}): ${ADVICE}`, {
      cause,
    })
    this.log.fatal({ err: cause }, this.error.message)
    this.reject(this.error)
  }

  /** What `work` resolves with; `MetadataError` if the store has failed meanwhile, whatever `work` does then. */
  async unlessFailed<T>(work: Promise<T>): Promise<T> {
    try {
      return await Promise.race([work, this.failed])
    } catch (error) {
      throw this.error ?? error
    }
  }
}
