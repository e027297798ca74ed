import { DataList } from "@mantine/core";

/** Facts with their names, one below the other. */
export function Details({ rows }: { rows: [string, React.ReactNode][] }) {
  return (
    <DataList labelWidth="7rem">
      {rows.map(([label, value]) => (
        <DataList.Item key={label}>
          <DataList.ItemLabel>{label}</DataList.ItemLabel>
          <DataList.ItemValue>{value}</DataList.ItemValue>
        </DataList.Item>
      ))}
    </DataList>
  );
}
