/** Who we are to etcd: the token that its password gives, and what every call carries beside it. */
import { CairnError, hasCode } from '@cairn/protocol'
import type { Metadata } from '@grpc/grpc-js'
import type { EtcdEndpoint } from './etcd-endpoint.js'
import type { EtcdLibrary } from './etcd-library.js'

export interface EtcdLoginOptions {
  readonly user?: string
  readonly password?: string
  readonly attemptMs: number
}

export class EtcdLogin {
  private readonly library: EtcdLibrary
  private readonly options: EtcdLoginOptions
  private asked: Promise<Metadata> | undefined
  private given: Metadata | undefined

  constructor(library: EtcdLibrary, options: EtcdLoginOptions) {
    this.library = library
    this.options = options
  }

  /** Whether there is a name and a password. */
  get isUsed(): boolean {
    return this.options.user !== undefined
  }

  /** For a call to this member; asks for a token first if there is none. `PeerRejected` if etcd does not give it. */
  metadata(endpoint: EtcdEndpoint): Promise<Metadata> {
    this.asked ??= this.ask(endpoint)
    return this.asked
  }

  /** etcd no longer takes the token: it expires, and a member that restarts has forgotten it. */
  forget(metadata: Metadata): void {
    if (this.given === metadata) this.asked = undefined
  }

  private async ask(endpoint: EtcdEndpoint): Promise<Metadata> {
    const metadata = new this.library.grpc.Metadata()
    // A member that has lost its leader refuses at once, before it proposes anything.
    metadata.set('hasleader', 'true')
    const { user, password = '', attemptMs } = this.options
    this.given = metadata
    if (user === undefined) return metadata
    const request = this.library.methods.authenticate.encode({ name: user, password })
    try {
      const { token = '' } = await endpoint.call('authenticate', request, { metadata, timeoutMs: attemptMs })
      metadata.set('token', token)
    } catch (error) {
      this.asked = undefined
      // Nothing of the call itself was sent.
      if (!hasCode(error, 'OutcomeUnknown')) throw error
      throw new CairnError('ConnectionLost', `${endpoint.address} gave no token`, { cause: error })
    }
    return metadata
  }
}
