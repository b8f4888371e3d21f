export const metadata = {title: 'site'};

export default function Layout({children}) {
  return <html lang="en"><body>{children}</body></html>;
}
