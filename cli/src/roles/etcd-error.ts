/** No member of etcd could be reached in time. Exit status 4. */
export class EtcdError extends Error {
  override readonly name = 'EtcdError'
}
