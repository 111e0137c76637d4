/** A certificate authority of the test's own, and a server certificate that it has signed for this host. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runOk } from './run.js'

export interface Certificate {
  readonly certPath: string
  readonly keyPath: string
  /** What clients must trust. */
  readonly caPath: string
}

/** Makes both with openssl, in a folder that is there. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const at = (name: string): string => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const paths = { certPath: at('server.pem'), keyPath: at('server.key'), caPath: at('ca.pem') }
  const authority = ['-x509', '-days', '2', '-subj', '/CN=Cairn test authority']
  await runOk('openssl', ['req', ...key, ...authority, '-keyout', at('ca.key'), '-out', paths.caPath])
  await runOk('openssl', [
    'req',
    ...key,
    ...['-subj', '/CN=localhost', '-keyout', paths.keyPath, '-out', at('server.csr')],
  ])
  await writeFile(at('names.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const sign = ['x509', '-req', '-days', '2', '-in', at('server.csr'), '-extfile', at('names.cnf')]
  const by = ['-CA', paths.caPath, '-CAkey', at('ca.key'), '-CAcreateserial', '-out', paths.certPath]
  await runOk('openssl', [...sign, ...by])
  await writeFile(paths.certPath, [await readFile(paths.certPath), await readFile(paths.caPath)])
  return paths
}
