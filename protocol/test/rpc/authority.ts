/** An authority and certificates that it has signed, made by openssl in a temporary folder. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterTls } from '../../src/index.js'

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export interface Authority {
  /** A certificate with these subject alternative names; valid for so many days from now. */
  issue(names: string, days?: number): ClusterTls
  remove(): void
}

export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-authority-'))
  const openssl = (...args: string[]): unknown =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
  openssl('req', '-x509', ...NEW_KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=ca')
  openssl('req', ...NEW_KEY, '-keyout', 'one.key', '-out', 'one.csr', '-subj', '/CN=one')
  return {
    issue(names, days = 1) {
      writeFileSync(join(folder, 'names'), names === '' ? '' : `subjectAltName=${names}\n`)
      const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', String(days)]
      openssl('x509', '-req', '-in', 'one.csr', ...signing, '-extfile', 'names', '-out', 'one.pem')
      return { ca: read('ca.pem'), cert: read('one.pem'), key: read('one.key') }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
