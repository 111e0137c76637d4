/** When the certificates that this process shows end: as a metric, and as a warning in the log before it is too late. */
import { X509Certificate } from 'node:crypto'
import type { Clock } from '@cairn/protocol'
import type { Logger } from '../log.js'
import type { Metrics } from '../metrics.js'

const DAY_MS = 86_400_000
/** From when on the log warns. */
const WARN_DAYS = 14

/** Whom it is shown to: clients, other roles, or etcd. */
export type CertificateUse = 's3' | 'cluster' | 'etcd'

export class CertificateEnds {
  private readonly clock: Clock
  private readonly log: Logger
  private readonly shown = new Map<CertificateUse, () => string | Buffer>()

  constructor(clock: Clock, log: Logger) {
    this.clock = clock
    this.log = log
  }

  /** The first certificate in what `read` gives is the one in use, from now on. */
  show(use: CertificateUse, read: () => string | Buffer): void {
    const isNew = !this.shown.has(use)
    this.shown.set(use, read)
    if (isNew) this.warn(use)
  }

  /** Warns once a day, until the process ends. */
  watch(): void {
    this.clock.setTimer(DAY_MS, () => {
      for (const use of this.shown.keys()) this.warn(use)
      this.watch()
    })
  }

  addTo(metrics: Metrics): void {
    metrics.add({
      name: 'cairn_certificate_not_after_timestamp_seconds',
      kind: 'gauge',
      help: 'End of the certificate that this process shows to clients, to other roles, or to etcd.',
      labels: ['use'],
      read: () =>
        [...this.shown.keys()].flatMap((use) => {
          const ms = this.endMsOf(use)
          return ms === undefined ? [] : [{ labels: { use }, value: ms / 1000 }]
        }),
    })
  }

  /** `undefined` for one that cannot be read: who needs it says so. */
  private endMsOf(use: CertificateUse): number | undefined {
    try {
      return Date.parse(new X509Certificate(this.shown.get(use)?.() ?? '').validTo)
    } catch {
      return undefined
    }
  }

  private warn(use: CertificateUse): void {
    const ms = this.endMsOf(use)
    if (ms === undefined) return
    const days = Math.floor((ms - this.clock.wallMicros() / 1000) / DAY_MS)
    if (days >= WARN_DAYS) return
    const message = days < 0 ? 'a certificate has ended' : 'a certificate ends soon'
    this.log.warn({ use, validTo: new Date(ms).toISOString(), days }, message)
  }
}
